import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import { takeLockFile } from "../../datasets/storage/lock-file.ts";
import { RoostError } from "../../errors.ts";

/** `champion`: what is served. `challenger`: what is being tried beside it. */
export const ALIASES = ["champion", "challenger"] as const;
export type Alias = (typeof ALIASES)[number];

const Version = z.string().regex(/^[0-9a-f]{16}$/);

const Move = z.strictObject({
  at_ms: z.number(),
  alias: z.enum(ALIASES),
  action: z.enum(["train", "add", "adopt", "promote", "rollback"]),
  /** Where the alias pointed before; null when nowhere. */
  from: Version.nullable(),
  to: Version.nullable(),
  /** Why the gate was overridden. */
  reason: z.string().optional(),
  /** What the gate would have refused. */
  overridden: z.array(z.string()).optional(),
});
/** One line of an alias file's history. */
export type Move = z.infer<typeof Move>;

const AliasFile = z.strictObject({
  format: z.literal(1),
  champion: Version.nullable(),
  challenger: Version.nullable(),
  /** Every move, oldest first. */
  history: z.array(Move),
});
/** `aliases.json` of a stage: which version each alias points to, and how it came there. */
export type AliasFile = z.infer<typeof AliasFile>;

export const ALIAS_FILE = "aliases.json";
const EMPTY: AliasFile = { format: 1, champion: null, challenger: null, history: [] };

/** The aliases of a stage directory; all null when it has no alias file. @throws BAD_BUNDLE when the file is malformed */
export async function readAliases(stageDir: string): Promise<AliasFile> {
  const path = join(stageDir, ALIAS_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return EMPTY;
    throw new RoostError("BAD_BUNDLE", `${path}: ${(error as Error).message}`, error);
  }
  try {
    return AliasFile.parse(JSON.parse(text));
  } catch (error) {
    const detail = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new RoostError("BAD_BUNDLE", `${path}: ${detail}`, error);
  }
}

/**
 * The champions that a rollback can go back to, oldest first, the present one last: promotions add one, a rollback takes
 * the last one away.
 */
export function championLine({ history }: AliasFile): string[] {
  const line: string[] = [];
  for (const { alias, action, to } of history) {
    if (alias !== "champion") continue;
    if (action === "rollback") line.pop();
    else if (to !== null && line.at(-1) !== to) line.push(to);
  }
  return line;
}

const LOCK_TRIES = 50;
const LOCK_PAUSE_MS = 20;

/**
 * Moves aliases by what `decide` makes of the present state, one mover at a time also across processes. The file is
 * replaced whole, so a reader sees the state before or after. A challenger that becomes champion is no challenger any more.
 * `decide` may refuse by throwing, and gives undefined to leave everything as it is.
 * @throws BAD_STORE when another process holds the stage's alias lock for more than a second
 */
export async function moveAlias(
  stageDir: string,
  decide: (now: AliasFile) => Promise<Omit<Move, "from"> | undefined>,
): Promise<AliasFile> {
  await mkdir(stageDir, { recursive: true });
  const path = join(stageDir, ALIAS_FILE);
  const lock = await takeLock(`${path}.lock`);
  try {
    const now = await readAliases(stageDir);
    const move = await decide(now);
    if (move === undefined) return now;
    const { at_ms, alias, action, ...rest } = move;
    const next: AliasFile = {
      ...now,
      [alias]: move.to,
      ...(alias === "champion" && now.challenger === move.to ? { challenger: null } : {}),
      history: [...now.history, { at_ms, alias, action, from: now[alias], ...rest }],
    };
    await replaceFile(path, `${JSON.stringify(AliasFile.parse(next), null, 2)}\n`);
    return next;
  } finally {
    lock.release();
  }
}

async function takeLock(path: string): Promise<{ release(): void }> {
  for (let tries = 1; ; tries++) {
    const attempt = takeLockFile(path);
    if (attempt.taken) return attempt;
    if (tries === LOCK_TRIES)
      throw new RoostError(
        "BAD_STORE",
        `${path} is held by process ${attempt.owner?.pid ?? "unknown"}; try again when it is done`,
      );
    await setTimeout(LOCK_PAUSE_MS);
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const pending = `${path}.partial`;
  const file = await open(pending, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(pending, path);
  const directory = await open(dirname(path), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
