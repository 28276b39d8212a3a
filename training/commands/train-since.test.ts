import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { simulate } from "../../datasets/commands/simulate.ts";
import { readManifest } from "../../datasets/dataset.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import { readLineage, versionDir } from "../../features/models/versions.ts";
import { suiting, type TrainRequest, trainRankers } from "../train-rankers.ts";

const HOUR_MS = 3_600_000;
const dir = mkdtempSync(join(tmpdir(), "roost-since-"));
const data = join(dir, "data");
const out = join(dir, "models");
const stageDir = join(out, "light");
let startMs = 0;
let champion: BundleManifest;

const run = async (more: Partial<TrainRequest> = {}): Promise<BundleManifest> => {
  const report = await trainRankers({
    data,
    out,
    rankers: ["light"],
    seed: 1,
    threads: 1,
    metricRounds: 0,
    command: ["roost", "train"],
    nowMs: 1,
    ...more,
  });
  return report.bundles.light as BundleManifest;
};

beforeAll(async () => {
  await simulate({ preset: "tiny", seed: 5, outDir: data });
  startMs = readManifest(data).from_ms;
  champion = await run({
    trainUntilMs: startMs + 18 * HOUR_MS,
    validateUntilMs: startMs + 24 * HOUR_MS,
  });
});
afterAll(() => rmSync(dir, { recursive: true }));

test("a warm start trains on the days since, validates after them, and names the champion as its parent", async () => {
  const sinceMs = startMs + 24 * HOUR_MS;
  const warm = await run({ sinceMs });
  expect((await readLineage(stageDir, warm.version))?.parent).toBe(champion.version);
  expect(warm.settings.warm_start).toMatchObject({ from: champion.version });
  const { from_ms, rows } = warm.settings.warm_start as { from_ms: number; rows: number };
  expect(from_ms).toBeGreaterThanOrEqual(sinceMs);
  expect(warm.data.rows).toBe(champion.data.rows + rows);
  expect(warm.validation?.from_ms).toBeGreaterThan(warm.data.to_ms);
  expect(warm.validation?.to_ms).toBeLessThan(readManifest(data).held_out_from_ms as number);
  expect(warm.features).toEqual(champion.features);
  expect(warm.calibration).not.toEqual(champion.calibration);

  // A grandchild goes on from the version that is named, which is no champion.
  const next = await run({ sinceMs: sinceMs + 12 * HOUR_MS, from: warm.version.slice(0, 6) });
  expect((await readLineage(stageDir, next.version))?.parent).toBe(warm.version);
});

test("a version without its training state is refused with what to do", async () => {
  const other = join(dir, "old");
  const old = await run({ out: other, trainUntilMs: startMs + 24 * HOUR_MS });
  rmSync(join(versionDir(join(other, "light"), old.version), "training.state"));
  await expect(run({ out: other, sinceMs: startMs + 24 * HOUR_MS })).rejects.toThrow(
    /cannot go on from light \w{16}: it was published without its training state.*train without --since/,
  );
});

test("a start that cannot be is refused: no champion, no time since, a version without --since", async () => {
  const sinceMs = startMs + 24 * HOUR_MS;
  await expect(run({ out: join(dir, "empty"), sinceMs })).rejects.toThrow(/no version champion/);
  await expect(run({ sinceMs: startMs + 900 * HOUR_MS })).rejects.toThrow(/range .* is empty/);
  await expect(run({ from: champion.version })).rejects.toThrow(/--from needs --since/);
});

test("retrieval does not go on from a version: it is left out by default and refused when asked for", async () => {
  const sinceMs = startMs + 24 * HOUR_MS;
  expect(suiting({ source: "world" }, { sinceMs })).not.toContain("two_tower");
  await expect(run({ sinceMs, rankers: ["light", "two_tower"] })).rejects.toMatchObject({
    code: "BAD_ARGUMENT",
    detail: expect.stringContaining("two_tower does not go on from a version"),
  });
});

test("by default retrieval is trained where posts are in the log as they are written", () => {
  expect(suiting({ source: "world" }, {})).toEqual(["light", "heavy", "past_rates", "two_tower"]);
  expect(suiting({ source: "kuairand" }, {})).toEqual(["light", "heavy", "past_rates"]);
});

test("--promote measures the champion on the new validation rows, so that the gate can judge a warm start", async () => {
  const promoted = join(dir, "promoted");
  const before = await run({
    out: promoted,
    metricRounds: 5,
    trainUntilMs: startMs + 18 * HOUR_MS,
    validateUntilMs: startMs + 24 * HOUR_MS,
  });
  const report = await trainRankers({
    data,
    out: promoted,
    rankers: ["light"],
    seed: 1,
    threads: 1,
    metricRounds: 5,
    sinceMs: startMs + 24 * HOUR_MS,
    promote: true,
    command: [],
    nowMs: 2,
  });
  const { champion: now, refused } = report.promotions.light ?? {};
  // Whatever the gate says, it says it of figures, not of rows that differ.
  expect(refused ?? "").not.toMatch(/different validation rows|not measured/);
  expect(now).toBe(refused === undefined ? report.bundles.light?.version : before.version);
});
