import { createHash } from "node:crypto";
import { createReadStream, readdirSync, readFileSync, rmSync } from "node:fs";
import { open, rename, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { RoostError } from "../../errors.ts";
import { EVENT_SCHEMA_VERSION } from "../events.ts";
import { during } from "../phases.ts";

/** The sidecar of a segment. A segment exists from the moment when its sidecar stands in the directory. */
const Sidecar = z.strictObject({
  schema_version: z.int().min(1),
  rows: z.int().min(0),
  first_seq: z.int().min(1),
  last_seq: z.int().min(1),
  min_time_ms: z.number(),
  max_time_ms: z.number(),
  /** Whether rows in seq order are in time order too: then they are read without sorting. */
  time_ordered: z.boolean(),
  /** Rows per event type. */
  types: z.record(z.string(), z.int().min(1)),
  bytes: z.int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** One immutable Parquet segment. */
export type SegmentInfo = z.infer<typeof Sidecar> & { readonly file: string };

// 16 digits hold every seq below 2^53, and names then sort as numbers do.
const pad = (seq: number): string => String(seq).padStart(16, "0");
const NAME = /^seg-(\d{16})-(\d{16})\.(parquet|json)$/;

export const segmentName = (firstSeq: number, lastSeq: number): string =>
  `seg-${pad(firstSeq)}-${pad(lastSeq)}`;

/**
 * The segments of a directory in seq order; a directory that does not exist has none. Files whose sidecar is not
 * there yet are being written or were left by a crash: they do not count.
 * @throws BAD_SEGMENT on a sidecar that is broken, newer than this code, without its file, or when a range is missing
 */
export function listSegments(dir: string): SegmentInfo[] {
  try {
    return listed(dir);
  } catch {
    // A large directory is not read in one step: beside a roller a file may be missed that was renamed meanwhile.
    return listed(dir);
  }
}

function listed(dir: string): SegmentInfo[] {
  const names = new Set(entries(dir));
  const segments: SegmentInfo[] = [];
  for (const name of [...names].sort()) {
    const match = NAME.exec(name);
    if (match?.[3] !== "json") continue;
    const file = path.join(dir, `${name.slice(0, -".json".length)}.parquet`);
    if (!names.has(path.basename(file)))
      throw new RoostError("BAD_SEGMENT", `${file} is missing, its sidecar is there`);
    const info = readSidecar(path.join(dir, name), file);
    if (info.first_seq !== Number(match[1]) || info.last_seq !== Number(match[2]))
      throw new RoostError("BAD_SEGMENT", `${name} describes another range than its name`);
    const previous = segments.at(-1);
    if (previous && info.first_seq !== previous.last_seq + 1)
      throw new RoostError(
        "BAD_SEGMENT",
        `${dir} holds no segment for seq ${previous.last_seq + 1} to ${info.first_seq - 1}`,
      );
    segments.push(info);
  }
  return segments;
}

function readSidecar(sidecar: string, file: string): SegmentInfo {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(sidecar, "utf8"));
  } catch (cause) {
    throw new RoostError("BAD_SEGMENT", `${sidecar} is not JSON`, cause);
  }
  const parsed = Sidecar.safeParse(json);
  if (!parsed.success)
    throw new RoostError("BAD_SEGMENT", `${sidecar}: ${z.prettifyError(parsed.error)}`);
  if (parsed.data.schema_version > EVENT_SCHEMA_VERSION)
    throw new RoostError(
      "BAD_SEGMENT",
      `${file} has event schema ${parsed.data.schema_version}, this version reads up to ${EVENT_SCHEMA_VERSION}`,
    );
  return { ...parsed.data, file };
}

/**
 * Checks a segment's bytes against its sidecar.
 * @throws BAD_SEGMENT when size or SHA-256 differ
 */
export async function verifySegment(segment: SegmentInfo): Promise<void> {
  const { size } = await stat(segment.file);
  if (size !== segment.bytes)
    throw new RoostError("BAD_SEGMENT", `${segment.file} has ${size} bytes, not ${segment.bytes}`);
  if ((await sha256(segment.file)) !== segment.sha256)
    throw new RoostError("BAD_SEGMENT", `${segment.file} does not match its SHA-256`);
}

/**
 * Makes a finished Parquet file a segment: fsync, checksum, rename, then the sidecar in the same way. A crash at any
 * point leaves either the whole segment or files that `sweepPartial` removes.
 */
export async function publishSegment(
  dir: string,
  temporary: string,
  facts: Omit<z.infer<typeof Sidecar>, "bytes" | "sha256" | "schema_version">,
): Promise<SegmentInfo> {
  await fsync(temporary);
  const name = path.join(dir, segmentName(facts.first_seq, facts.last_seq));
  const sidecar = {
    schema_version: EVENT_SCHEMA_VERSION,
    ...facts,
    bytes: (await stat(temporary)).size,
    sha256: await sha256(temporary),
  };
  await during("segment_rename", async () => {
    await rename(temporary, `${name}.parquet`);
    await writeFile(`${name}.json.tmp`, `${JSON.stringify(sidecar, null, 2)}\n`);
    await fsync(`${name}.json.tmp`);
    // The directory first: a sidecar must never outlive the file that it vouches for.
    await fsync(dir);
    await rename(`${name}.json.tmp`, `${name}.json`);
    await fsync(dir);
  });
  return { ...sidecar, file: `${name}.parquet` };
}

/** Removes what a crash left half-written. Only the owner of the directory may call it. Returns the names removed. */
export function sweepPartial(dir: string): string[] {
  const names = new Set(entries(dir));
  const partial = [...names].filter(
    (name) =>
      /^seg-.*\.tmp$/.test(name) ||
      (NAME.exec(name)?.[3] === "parquet" && !names.has(name.replace(/\.parquet$/, ".json"))),
  );
  for (const name of partial) rmSync(path.join(dir, name));
  return partial;
}

function entries(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new RoostError("BAD_SEGMENT", `${dir} cannot be listed`, cause);
  }
}

async function fsync(file: string): Promise<void> {
  const handle = await open(file, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}
