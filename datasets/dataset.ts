import { existsSync, readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { RoostError } from "../errors.ts";
import type { EventType, LoggedEvent } from "./events.ts";
import { HEAD_BY_NAME } from "./heads.ts";
import { readSegments } from "./log/segments.ts";

/** `dataset.json` beside the segments: what the events are and how they are to be used. */
export const DatasetManifest = z.strictObject({
  format: z.literal(1),
  /** Who made it: `world` or an importer's name. */
  source: z.string().min(1),
  /** The heads whose engagements it holds: what a model can be trained on. */
  heads: z
    .array(z.string().refine((name) => HEAD_BY_NAME.has(name), "is not in the head table"))
    .min(1),
  from_ms: z.number(),
  to_ms: z.number(),
  /** Events from here on lie apart in `held-out/`: for judging only. */
  held_out_from_ms: z.number().optional(),
  /** Hours of the data's calendar ahead of UTC: days for splits begin at its midnight. */
  utc_offset_hours: z.number().default(0),
  /** How the heavy ranker reads a viewer's own rates unless told otherwise: as of now, or as of the last midnight. */
  viewer_rates: z.enum(["running", "daily"]).optional(),
  events: z.int(),
  impressions: z.int(),
  /** What it was made with (preset, seed, directory read …). */
  made_with: z.record(z.string(), z.union([z.string(), z.number()])),
  /** sha256 over the segments' own checksums. */
  checksum: z.string(),
});
export type DatasetManifest = z.infer<typeof DatasetManifest>;

export const segmentsDir = (dir: string): string => join(dir, "segments");
export const heldOutDir = (dir: string): string => join(dir, "held-out");
const manifestPath = (dir: string): string => join(dir, "dataset.json");

export const hasDataset = (dir: string): boolean => existsSync(manifestPath(dir));

/** @throws BAD_DATASET when there is no data set in `dir` or its manifest is malformed. */
export function readManifest(dir: string): DatasetManifest {
  if (!hasDataset(dir))
    throw new RoostError(
      "BAD_DATASET",
      `${dir} holds no dataset.json: make one with roost simulate or roost import`,
    );
  try {
    return DatasetManifest.parse(JSON.parse(readFileSync(manifestPath(dir), "utf8")));
  } catch (error) {
    const detail = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new RoostError("BAD_DATASET", `${manifestPath(dir)}: ${detail}`, error);
  }
}

/** Written last, by rename: a directory with a manifest holds a complete data set. */
export async function writeManifest(dir: string, manifest: DatasetManifest): Promise<void> {
  const pending = `${manifestPath(dir)}.partial`;
  const file = await open(pending, "w");
  try {
    await file.writeFile(`${JSON.stringify(DatasetManifest.parse(manifest), null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(pending, manifestPath(dir));
}

export interface DatasetRead {
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly types?: readonly EventType[];
  /** Default false: what is held out is read by judges only. */
  readonly heldOut?: boolean;
}

/** The events of a data set in batches, in (time, sequence) order. */
export async function* readDataset(
  dir: string,
  read: DatasetRead = {},
): AsyncGenerator<LoggedEvent[]> {
  const { heldOut = false, ...range } = read;
  yield* readSegments(segmentsDir(dir), { order: "time", ...range });
  if (heldOut && existsSync(heldOutDir(dir)))
    yield* readSegments(heldOutDir(dir), { order: "time", ...range });
}
