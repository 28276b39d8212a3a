import { createHash } from "node:crypto";
import { createReadStream, rmSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { decodeRedo, encodeRedo, type RedoEntry } from "./redo-record.ts";

/** Its name in a data directory. An erasure removes it. */
export const STATE_FILE = "features.materializing";

const MAGIC = Buffer.from("ROOSTFS1");
const CHECKSUM_BYTES = 32;
const LENGTH_BYTES = 4;
/** A batch of 4,000 vectors has a megabyte or two. */
const MOST_BATCH_BYTES = 1 << 28;

/** What a file of state is of. */
const StateFacts = z.strictObject({
  /** What the keys begin with that its vectors are stored under. */
  prefix: z.string(),
  /** The log that it was made of; see `log-mark.ts`. */
  log: z.strictObject({
    up_to: z.int().min(1),
    rolled: z.int().min(0),
    segments: z.string(),
    newest: z.string(),
  }),
  /** Wall clock of the run's beginning: the time of every value. */
  time_ms: z.int().min(0),
  /** The last event applied; null when all up to `log.up_to` are. */
  cursor: z.int().nullable(),
  /** Events applied. */
  events: z.int().min(0),
  vectors: z.int().min(0),
});
export type StateFacts = z.infer<typeof StateFacts>;

/** A whole file of state: its checksum was right. */
export interface StateFile {
  /** SHA-256 of its bytes, hex. */
  readonly id: string;
  readonly facts: StateFacts;
  /** The vectors as they are stored, in the order in which they were written. */
  batches(): AsyncGenerator<readonly RedoEntry[]>;
}

/** Where a file is until it is whole; what a killed process left there is written over. */
export const partialOf = (path: string): string => `${path}.partial`;

export function removeStateFile(path: string): void {
  rmSync(path, { force: true });
  rmSync(partialOf(path), { force: true });
}

/**
 * Writes state that is being made: magic, facts as JSON and each batch with their lengths, SHA-256 of all before. A reader
 * sees the old file or the new one, whenever this process ends.
 */
export async function writeStateFile(
  path: string,
  facts: StateFacts,
  batches: Iterable<readonly RedoEntry[]>,
): Promise<void> {
  const pending = partialOf(path);
  const hash = createHash("sha256");
  const file = await open(pending, "w");
  try {
    const put = async (bytes: Buffer): Promise<void> => {
      hash.update(bytes);
      await file.writeFile(bytes);
    };
    await put(Buffer.concat([MAGIC, framed(Buffer.from(JSON.stringify(facts)))]));
    const header = { token: 0, position: facts.log.up_to, timeMs: facts.time_ms };
    for (const batch of batches) await put(framed(encodeRedo(batch, header)));
    await file.writeFile(hash.digest());
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(pending, path);
  await syncDirectory(dirname(path));
}

/** The file at `path`; undefined when there is none, or it is damaged or of another version. */
export async function readStateFile(path: string): Promise<StateFile | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const end = (await file.stat()).size - CHECKSUM_BYTES;
    if (end < MAGIC.length + LENGTH_BYTES) return undefined;
    const hash = createHash("sha256");
    await pipeline(createReadStream(path, { end: end - 1, highWaterMark: 1 << 20 }), hash);
    const digest = hash.digest();
    if (!digest.equals(await exactly(file, end, CHECKSUM_BYTES))) return undefined;
    if (!(await exactly(file, 0, MAGIC.length)).equals(MAGIC)) return undefined;
    const head = await frame(file, MAGIC.length);
    const facts = StateFacts.safeParse(JSON.parse(head.toString()));
    if (!facts.success) return undefined;
    const from = MAGIC.length + LENGTH_BYTES + head.length;
    return {
      id: digest.toString("hex"),
      facts: facts.data,
      batches: () => batchesOf(path, from, end),
    };
  } finally {
    await file.close();
  }
}

async function* batchesOf(
  path: string,
  from: number,
  end: number,
): AsyncGenerator<readonly RedoEntry[]> {
  const file = await open(path, "r");
  try {
    for (let at = from; at < end; ) {
      const bytes = await frame(file, at);
      at += LENGTH_BYTES + bytes.length;
      yield decodeRedo(bytes).entries;
    }
  } finally {
    await file.close();
  }
}

function framed(bytes: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

async function frame(file: FileHandle, at: number): Promise<Buffer> {
  const length = (await exactly(file, at, LENGTH_BYTES)).readUInt32LE();
  if (length > MOST_BATCH_BYTES) throw new RangeError(`a part of ${length} bytes`);
  return exactly(file, at + LENGTH_BYTES, length);
}

async function exactly(file: FileHandle, at: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes);
  for (let read = 0; read < bytes; ) {
    const { bytesRead } = await file.read(buffer, read, bytes - read, at + read);
    if (bytesRead === 0) throw new RangeError("the file ends before its content");
    read += bytesRead;
  }
  return buffer;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
