import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { simulate } from "../../datasets/commands/simulate.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import { readAliases } from "../../features/models/aliases.ts";
import { readLineage } from "../../features/models/versions.ts";
import { type TrainRequest, trainRankers } from "../train-rankers.ts";
import { HeavyOptions } from "../trainers/ranker-options.ts";

const SMALL = { blocks: 1, maskHidden: 16, blockOutput: 16, trunk: [16], tower: 8, idWidth: 0 };

let data: string;
const out = (): string => join(data, "models");
const trained = async (more: Partial<TrainRequest>): Promise<Record<string, BundleManifest>> => {
  const { bundles } = await trainRankers({
    data,
    out: out(),
    seed: 1,
    threads: 1,
    metricRounds: 0,
    command: ["roost", "train"],
    nowMs: 1000,
    ...more,
  });
  return bundles;
};

let labelled: BundleManifest;
let teacher: BundleManifest;
let taught: BundleManifest;
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), "roost-student-"));
  await simulate({ preset: "tiny", seed: 6, outDir: data });
  labelled = (await trained({ rankers: ["light"] })).light as BundleManifest;
  const small = { heavy: SMALL, fit: { maxPasses: 2 } };
  const both = await trained({ rankers: ["light", "heavy"], options: small });
  [teacher, taught] = [both.heavy as BundleManifest, both.light as BundleManifest];
}, 60_000);
afterAll(() => rm(data, { recursive: true }));

const light = async (more: Partial<TrainRequest> = {}): Promise<BundleManifest> =>
  (await trained({ rankers: ["light"], ...more })).light as BundleManifest;

test("a light ranker learns from the heavy one of its training, else from the champion; without one from labels", async () => {
  expect(labelled.settings).not.toHaveProperty("distilled");
  expect(taught.settings).toMatchObject({ distilled: { from: teacher.version, share: 0.5 } });
  expect((await light()).settings).toMatchObject({ distilled: { from: teacher.version } });
});

test("a champion that has seen the validation rows teaches nobody, nor is there a teacher of rare negatives", async () => {
  const { to_ms } = teacher.data;
  const earlier = await light({ trainUntilMs: to_ms, validateUntilMs: to_ms + 3_600_000 });
  expect(earlier.settings).not.toHaveProperty("distilled");
  const rare = await light({ options: { fit: { rareNegatives: 0.5 } } });
  expect(rare.settings).not.toHaveProperty("distilled");
});

test("light and heavy learn from one teacher; each follows what its own stage or its teacher is", async () => {
  const student = { of: teacher.version.slice(0, 6) };
  const { light, heavy } = await trained({ student, rankers: ["light", "heavy"], seed: 2 });
  const distilled = { from: teacher.version, share: 0.5 };

  expect(light?.settings).toMatchObject({ distilled });
  expect(light?.settings).not.toHaveProperty("heavy");
  expect(light?.features).toEqual(labelled.features);
  expect(light?.parameters).toBe(labelled.parameters);
  const ofLight = await readLineage(join(out(), "light"), light?.version as string);
  expect(ofLight?.parent).toBe(labelled.version);
  expect((await readAliases(join(out(), "light"))).champion).toBe(labelled.version);

  expect(heavy?.settings).toMatchObject({
    distilled,
    heavy: { ...HeavyOptions.parse(SMALL), maskHidden: 8, blockOutput: 8, trunk: [8], tower: 4 },
  });
  const ofHeavy = await readLineage(join(out(), "heavy"), heavy?.version as string);
  expect(ofHeavy?.parent).toBe(teacher.version);
}, 60_000);

test.each([
  [{ rankers: ["light"], student: { of: "champion", width: 0.5 } }, /--width is of a heavy/],
  [{ rankers: ["past_rates"] }, /only light and heavy rankers can be students/],
  [{ rankers: ["light", "two_tower"] }, /only light and heavy rankers can be students/],
  [{ rankers: ["light"], sinceMs: 1 }, /a student is trained anew/],
  [{ curveDays: [1] }, /--curve is of rankers without a teacher/],
  [
    { rankers: ["light"], student: { of: "challenger" } },
    /there is no version challenger in .*heavy/,
  ],
] as const)("what a student cannot have is refused by name: %j", async (more, said) => {
  await expect(trained({ student: { of: "champion" }, ...more })).rejects.toThrow(said);
});
