import { createHash } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { RoostError } from "../../errors.ts";
import type { Tensors } from "./snapshot.ts";

/** Where an interrupted training stands. */
export interface Checkpoint {
  /** Identifies data, settings and seed: a checkpoint resumes only the run that wrote it. */
  readonly run: string;
  /** Numbers and lists that are not tensors. */
  readonly state: Readonly<Record<string, unknown>>;
  readonly tensors: Tensors;
}

const MAGIC = "ROOSTCK1";

/** Layout: magic, header length (uint32 little endian), JSON header, float32 tensors in header order, sha256 of all before. */
export function encodeCheckpoint({ run, state, tensors }: Checkpoint): Uint8Array[] {
  const header = Buffer.from(
    JSON.stringify({
      run,
      state,
      tensors: [...tensors].map(([name, data]) => [name, data.length]),
    }),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  const parts: Uint8Array[] = [Buffer.from(MAGIC), length, header];
  for (const data of tensors.values())
    parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  parts.push(hash.digest());
  return parts;
}

/** What `encodeCheckpoint` wrote, or undefined when the bytes are damaged. */
export function decodeCheckpoint(bytes: Buffer): Checkpoint | undefined {
  const body = bytes.subarray(0, Math.max(0, bytes.length - 32));
  const sum = createHash("sha256").update(body).digest();
  if (body.subarray(0, 8).toString() !== MAGIC || !sum.equals(bytes.subarray(body.length)))
    return undefined;
  const start = 12 + body.readUInt32LE(8);
  const header = JSON.parse(body.subarray(12, start).toString()) as {
    run: string;
    state: Record<string, unknown>;
    tensors: [string, number][];
  };
  const tensors: Tensors = new Map();
  let at = start;
  for (const [name, size] of header.tensors) {
    tensors.set(name, new Float32Array(Uint8Array.from(body.subarray(at, at + size * 4)).buffer));
    at += size * 4;
  }
  return { run: header.run, state: header.state, tensors };
}

export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const parts = encodeCheckpoint(checkpoint);
  await mkdir(dirname(path), { recursive: true });
  const pending = `${path}.${process.pid}.partial`;
  const file = await open(pending, "w");
  try {
    for (const part of parts) await file.writeFile(part);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(pending, path);
}

/**
 * The checkpoint of this run, or undefined when there is no file.
 * @throws BAD_ARGUMENT when the file is damaged or belongs to a run with other data, settings or seed.
 */
export async function readCheckpoint(path: string, run: string): Promise<Checkpoint | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const refuse = (why: string): never => {
    throw new RoostError("BAD_ARGUMENT", `checkpoint ${path} ${why}; delete it to start afresh`);
  };
  const checkpoint = decodeCheckpoint(bytes);
  if (checkpoint === undefined) return refuse("is damaged");
  if (checkpoint.run !== run) refuse("belongs to a run with other data, settings or seed");
  return checkpoint;
}
