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

let teacher: BundleManifest;
let labelled: BundleManifest;
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), "roost-student-"));
  await simulate({ preset: "tiny", seed: 6, outDir: data });
  const bundles = await trained({
    rankers: ["light", "heavy"],
    options: { heavy: SMALL, fit: { maxPasses: 1 } },
  });
  [teacher, labelled] = [bundles.heavy as BundleManifest, bundles.light as BundleManifest];
}, 60_000);
afterAll(() => rm(data, { recursive: true }));

test("light and heavy learn from one teacher; each follows what its own stage or its teacher is", async () => {
  const student = { of: teacher.version.slice(0, 6) };
  const { light, heavy } = await trained({ student, rankers: ["light", "heavy"] });
  const distilled = { from: teacher.version, share: 0.5 };

  expect(light?.settings).toMatchObject({ distilled });
  expect(light?.settings).not.toHaveProperty("heavy");
  expect(light?.features).toEqual(labelled.features);
  expect(light?.parameters).toBe(labelled.parameters);
  expect(light?.version).not.toBe(labelled.version);
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
