import { createHash } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { deserialize, serialize } from "node:v8";
import { during } from "../../datasets/phases.ts";

/** Raised when what a consumer puts into its snapshot changes: older files are then ignored and the state is rebuilt. */
const FORMAT = 2;

export interface Snapshot {
  /** Sequence of the last log record that the state reflects. */
  readonly position: number;
  readonly states: Readonly<Record<string, unknown>>;
}

/** Writes a snapshot with its checksum; a reader sees the old file or the new one. */
export function writeSnapshot(path: string, snapshot: Snapshot): Promise<void> {
  return during("checkpoint", () => write(path, snapshot));
}

async function write(path: string, snapshot: Snapshot): Promise<void> {
  const body = serialize({ format: FORMAT, ...snapshot });
  const pending = `${path}.partial`;
  const file = await open(pending, "w");
  try {
    await file.writeFile(createHash("sha256").update(body).digest());
    await file.writeFile(body);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(pending, path);
}

/** The snapshot at `path`; undefined when it is absent, damaged or of another format: then replay rebuilds the state. */
export async function readSnapshot(path: string): Promise<Snapshot | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch {
    return undefined;
  }
  const body = bytes.subarray(32);
  if (!createHash("sha256").update(body).digest().equals(bytes.subarray(0, 32))) return undefined;
  const { format, ...snapshot } = deserialize(body) as Snapshot & { format: number };
  return format === FORMAT ? snapshot : undefined;
}
