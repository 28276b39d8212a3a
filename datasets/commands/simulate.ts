import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { RoostError } from "../../errors.ts";
import {
  type DatasetManifest,
  hasDataset,
  heldOutDir,
  segmentsDir,
  writeManifest,
} from "../dataset.ts";
import { WORLD_HEADS } from "../heads.ts";
import type { SegmentInfo } from "../log/segment-files.ts";
import { SegmentWriter } from "../log/segments.ts";
import { eventChecksum } from "../world/event-checksum.ts";
import { PRESETS, type PresetName } from "../world/settings.ts";
import { formatTargets, isMet } from "../world/target-row.ts";
import { measureTargets } from "../world/targets.ts";
import { createWorld, openWorld, type World } from "../world/world.ts";

/** Events between two reports of progress. */
const REPORT_EVERY = 20_000;

export interface SimulateOptions {
  readonly preset: PresetName;
  readonly seed: number;
  /** Gets `segments/`, `held-out/` (the last day), `world.json` and, when all is there, `dataset.json`. */
  readonly outDir: string;
  /** Share done, 0–1. */
  readonly onProgress?: (share: number) => void;
}

/** What `world.json` says: how to make the same world again, and how to see that it is the same. */
export interface WorldFacts {
  readonly preset: PresetName;
  readonly seed: number;
  readonly start_ms: number;
  readonly end_ms: number;
  readonly held_out_from_ms: number;
  /** sha256 over the event stream, one JSON line per event. */
  readonly checksum: string;
}

/**
 * Writes a world's log as a data set: seq 1, 2, 3 … in time order, the held-out day apart.
 * @throws BAD_ARGUMENT for an unknown preset, or when `outDir` holds a data set or a log
 */
export async function simulate({
  preset,
  seed,
  outDir,
  onProgress,
}: SimulateOptions): Promise<{ manifest: DatasetManifest; facts: WorldFacts }> {
  clearLeftovers(outDir);
  const world = createWorld(preset, seed);
  const [past, heldOut] = [`${segmentsDir(outDir)}.partial`, `${heldOutDir(outDir)}.partial`];
  for (const dir of [past, heldOut]) rmSync(dir, { recursive: true, force: true });
  mkdirSync(outDir, { recursive: true });
  try {
    const written = await writeLog(world, past, heldOut, onProgress);
    const facts: WorldFacts = {
      preset,
      seed,
      start_ms: world.startMs,
      end_ms: world.endMs,
      held_out_from_ms: world.heldOutFromMs,
      checksum: written.checksum,
    };
    writeFileSync(join(outDir, "world.json"), `${JSON.stringify(facts, null, 2)}\n`);
    renameSync(heldOut, heldOutDir(outDir));
    renameSync(past, segmentsDir(outDir));
    const manifest: DatasetManifest = {
      format: 1,
      source: "world",
      heads: [...WORLD_HEADS],
      from_ms: world.startMs,
      to_ms: world.endMs,
      held_out_from_ms: world.heldOutFromMs,
      utc_offset_hours: 0,
      events: written.events,
      impressions: written.impressions,
      made_with: { preset, seed },
      checksum: checksumOf(written.segments),
    };
    await writeManifest(outDir, manifest);
    return { manifest, facts };
  } finally {
    for (const dir of [past, heldOut]) rmSync(dir, { recursive: true, force: true });
  }
}

async function writeLog(
  world: World,
  past: string,
  heldOut: string,
  onProgress: SimulateOptions["onProgress"],
): Promise<{ segments: SegmentInfo[]; events: number; impressions: number; checksum: string }> {
  const checksum = eventChecksum();
  const segments: SegmentInfo[] = [];
  let writer = new SegmentWriter(past);
  let isPast = true;
  let events = 0;
  let impressions = 0;
  try {
    for (const event of world.events()) {
      if (isPast && event.time_ms >= world.heldOutFromMs) {
        isPast = false;
        const firstSeq = writer.nextSeq;
        segments.push(...(await writer.close()));
        writer = new SegmentWriter(heldOut, { firstSeq });
      }
      const full = writer.append(event);
      if (full) await full;
      checksum.add(event);
      events++;
      if (event.type === "impression") impressions++;
      if (events % REPORT_EVERY === 0) onProgress?.(shareOf(world, event.time_ms));
    }
    segments.push(...(await writer.close()));
  } catch (error) {
    await writer.close().catch(() => {});
    throw error;
  }
  onProgress?.(1);
  return { segments, events, impressions, checksum: checksum.digest() };
}

/** The history before the first day passes quickly; the days take equally long. */
function shareOf({ startMs, endMs }: World, timeMs: number): number {
  return Math.max(0, (timeMs - startMs) / (endMs - startMs));
}

function checksumOf(segments: readonly SegmentInfo[]): string {
  const hash = createHash("sha256");
  for (const { sha256 } of segments) hash.update(sha256);
  return hash.digest("hex");
}

/** A `world.json` without a manifest marks what an interrupted run left: only that is removed. */
function clearLeftovers(outDir: string): void {
  if (hasDataset(outDir))
    throw new RoostError("BAD_ARGUMENT", `--out ${outDir} holds a data set; name a new directory`);
  const dirs = [segmentsDir(outDir), heldOutDir(outDir)];
  if (existsSync(join(outDir, "world.json")))
    for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
  for (const dir of dirs)
    if (existsSync(dir) && readdirSync(dir).length > 0)
      throw new RoostError(
        "BAD_ARGUMENT",
        `${dir} holds a log already; name a new directory for --out`,
      );
}

interface Flags {
  readonly preset: string;
  readonly seed: string;
  readonly out?: string;
  readonly targets?: boolean;
  readonly json?: boolean;
  readonly progressJson?: boolean;
}

/** `roost simulate`: a simulated network → a data set, and its target table. */
export function simulateCommand(): Command {
  return new Command("simulate")
    .description("generate a simulated network: its log as a data set, its properties as a table")
    .option("--preset <name>", `size: ${Object.keys(PRESETS).join(", ")}`, "demo")
    .option("--seed <n>", "whole number; the same seed gives the same bytes", "1")
    .option("--out <dir>", "write the log here as a data set")
    .option("--targets", "measure the world beside its asked ranges (default without --out)")
    .option("--json", "print as JSON")
    .option("--progress-json", "report progress on stderr as JSON lines")
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const preset = presetOf(flags.preset);
  const seed = seedOf(flags.seed);
  const onProgress = (share: number): void => {
    if (flags.progressJson)
      process.stderr.write(`${JSON.stringify({ step: `world ${preset}`, share })}\n`);
  };
  const report: Record<string, unknown> = { preset, seed };
  if (flags.out !== undefined) {
    const { manifest, facts } = await simulate({ preset, seed, outDir: flags.out, onProgress });
    report.data_set = manifest;
    report.world = facts;
    if (!flags.json)
      process.stdout.write(
        `${flags.out}: ${manifest.events} events, ${manifest.impressions} impressions, checksum ${facts.checksum.slice(0, 16)}\n`,
      );
  }
  if (flags.targets || flags.out === undefined) {
    const rows = measureTargets(openWorld(preset, seed));
    report.targets = rows.map((row) => ({ ...row, ok: isMet(row) }));
    if (!flags.json) process.stdout.write(`${formatTargets(rows)}\n`);
  }
  if (flags.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}

function presetOf(name: string): PresetName {
  if (Object.hasOwn(PRESETS, name)) return name as PresetName;
  throw new RoostError(
    "BAD_ARGUMENT",
    `--preset ${name} is not one of ${Object.keys(PRESETS).join(", ")}`,
  );
}

function seedOf(text: string): number {
  const seed = Number(text);
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(seed)) return seed;
  throw new RoostError("BAD_ARGUMENT", `--seed ${text} is not a whole number`);
}
