import { afterAll, beforeAll, expect, test } from "vitest";
import { auc } from "../../experiments/metrics/auc.ts";
import { type Bundle, sealManifest } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { narrower, softLabels } from "./distillation.ts";
import { type PlantedHead, plantedRows, sliceRows } from "./planted-rows.ts";
import { HeavyOptions } from "./ranker-options.ts";
import { trainRanker } from "./train-ranker.ts";
import type { TrainedModel } from "./trained-model.ts";

const click: PlantedHead = {
  name: "click",
  truth: (x) => -1 + 2 * (x[0] as number) - (x[1] as number),
  masked: 0.2,
};
const rare: PlantedHead = { name: "report", truth: () => -50 };
const dwell: PlantedHead = {
  name: "dwell_seconds",
  kind: "continuous",
  truth: (x) => (x[0] as number) + 5,
};
const planted = plantedRows({ n: 5000, features: 4, heads: [click, rare, dwell], seed: 4 });
const [train, validation] = [sliceRows(planted, 0, 4000), sliceRows(planted, 4000, 5000)];
const SMALL = { blocks: 1, maskHidden: 16, blockOutput: 16, trunk: [16], tower: 8, idWidth: 0 };
const settings = {
  kind: "heavy",
  validation,
  seed: 1,
  threads: 1,
  metricRounds: 0,
  options: { fit: { batchSize: 128, maxPasses: 6 }, heavy: SMALL },
} as const;

let teacher: TrainedModel;
let bundle: Bundle;
beforeAll(async () => {
  teacher = await trainRanker({ ...settings, train });
  const model = teacher.parts.onnx;
  bundle = {
    manifest: sealManifest(teacher.manifest({ schemaHash: "x", source: "x" }), model),
    model,
  };
});
afterAll(() => teacher.close());

const heads = planted.headNames.length;
const column = (values: Float32Array, h: number): Float32Array =>
  Float32Array.from(
    { length: values.length / heads },
    (_, row) => values[row * heads + h] as number,
  );

test("labels are mixed with the teacher's calibrated predictions by its share", async () => {
  const predictions = await teacher.predict(train);
  const soft = await softLabels(train, { bundle, share: 0.25 });
  const [labels, mixed] = [column(train.labels, 0), column(soft.labels, 0)];
  const told = column(predictions, 0);
  let [masked, seen] = [0, 0];
  labels.forEach((label, row) => {
    if (Number.isNaN(label)) masked += Number.isNaN(mixed[row]) ? 1 : 0;
    else if (++seen < 200)
      expect(mixed[row]).toBeCloseTo(0.75 * label + 0.25 * (told[row] as number), 5);
  });
  expect(masked).toBe(train.n - seen);
  expect(masked).toBeGreaterThan(500);
  expect(train.labels).toEqual(planted.labels.subarray(0, train.n * heads));
});

test("a head that the teacher masks keeps its labels, and amounts are mixed as amounts", async () => {
  expect(bundle.manifest.masked_heads).toEqual(["report"]);
  const soft = await softLabels(train, { bundle, share: 1 });
  expect(column(soft.labels, 1)).toEqual(column(train.labels, 1));
  const seconds = column(soft.labels, 2);
  expect(seconds).toEqual(column(await teacher.predict(train), 2));
  expect(Math.max(...seconds)).toBeGreaterThan(1);
});

test.each(["heavy", "light"] as const)(
  "a %s student that hears only its teacher learns what its own labels do not say",
  async (kind) => {
    const noise: TrainingRows = {
      ...train,
      labels: train.labels.map((label, i) => (i % heads === 0 ? Number(i % 2 === 0) : label)),
    };
    const judged = async (model: TrainedModel): Promise<number> =>
      auc({
        scores: column(await model.predict(validation), 0),
        labels: column(validation.labels, 0),
      });
    const [deaf, student] = await Promise.all([
      trainRanker({ ...settings, kind, train: noise }),
      trainRanker({ ...settings, kind, train: noise, teacher: { bundle, share: 1 } }),
    ]);
    expect(student.parts.settings.distilled).toEqual({ from: bundle.manifest.version, share: 1 });
    const best = await judged(teacher);
    expect(best).toBeGreaterThan(0.8);
    expect(await judged(student)).toBeGreaterThan(best - 0.02);
    // Even noise may begin in a lucky direction, and validation stops it there.
    expect(await judged(deaf)).toBeLessThan(0.75);
    await Promise.all([deaf.close(), student.close()]);
  },
  30_000,
);

test("a student that leaves negatives out is refused: its labels are no longer 0 and 1", async () => {
  const options = { ...settings.options, fit: { ...settings.options?.fit, rareNegatives: 0.1 } };
  await expect(
    trainRanker({ ...settings, options, train, teacher: { bundle, share: 0.5 } }),
  ).rejects.toThrow(/rare negatives are for labels alone/);
});

test("half the width halves every layer and keeps the ids", () => {
  const options = HeavyOptions.parse({ trunk: [256, 1] });
  expect(narrower(options, 0.5)).toEqual({
    ...options,
    maskHidden: 56,
    blockOutput: 64,
    trunk: [128, 1],
    tower: 16,
  });
});
