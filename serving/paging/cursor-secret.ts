import { randomBytes } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RoostError } from "../../errors.ts";

/**
 * The secret that signs this data directory's cursors, made at the first start and kept, so that a cursor from before
 * a restart is known to be expired rather than forged. Two starts at once agree on one.
 * @throws BAD_CONFIG when the kept file is not a secret of ours
 */
export function cursorSecret(
  dataDir: string,
  draw: (bytes: number) => Buffer = randomBytes,
): string {
  const path = join(dataDir, "cursor-secret");
  const kept = read(path);
  if (kept !== undefined) return checked(kept, path);
  mkdirSync(dataDir, { recursive: true });
  const secret = draw(32).toString("hex");
  const draft = `${path}.${secret.slice(0, 8)}`;
  writeFileSync(draft, secret, { mode: 0o600 });
  try {
    // A link fails if the name is taken, and shows the file only when it is whole.
    linkSync(draft, path);
    return secret;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return checked(read(path) ?? "", path);
  } finally {
    rmSync(draft);
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function checked(secret: string, path: string): string {
  if (/^[0-9a-f]{64}$/.test(secret)) return secret;
  throw new RoostError("BAD_CONFIG", `${path} holds no cursor secret; delete it to have one made`);
}
