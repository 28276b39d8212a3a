import { mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { auc } from "../../experiments/metrics/auc.ts";
import { calibrate, readBundle } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import { type PlantedHead, plantedRows, sliceRows } from "./planted-rows.ts";
import { type TrainRankerRequest, trainRanker } from "./train-ranker.ts";
import type { TrainedModel } from "./trained-model.ts";

const linear: PlantedHead = {
  name: "click",
  truth: (x) => -1 + 1.2 * (x[0] as number) - 0.8 * (x[1] as number),
};
const interaction: PlantedHead = {
  name: "favorite",
  truth: (x) => -1 + 2 * (x[0] as number) * (x[1] as number),
};
const SMALL = {
  blocks: 2,
  maskHidden: 16,
  blockOutput: 16,
  trunk: [16],
  tower: 8,
  idBuckets: 64,
  idWidth: 4,
};

function split(rows: TrainingRows, share = 0.8): { train: TrainingRows; validation: TrainingRows } {
  const at = Math.round(rows.n * share);
  return { train: sliceRows(rows, 0, at), validation: sliceRows(rows, at, rows.n) };
}

async function headAuc(model: TrainedModel, rows: TrainingRows, head: string): Promise<number> {
  const h = rows.headNames.indexOf(head);
  const heads = rows.headNames.length;
  const predictions = await model.predict(rows);
  const column = (data: Float32Array): Float32Array =>
    Float32Array.from({ length: rows.n }, (_, row) => data[row * heads + h] as number);
  return auc({ scores: column(predictions), labels: column(rows.labels) });
}

const train = (
  request: Omit<TrainRankerRequest, "seed" | "threads" | "metricRounds"> &
    Partial<TrainRankerRequest>,
): Promise<TrainedModel> => trainRanker({ seed: 7, threads: 1, metricRounds: 0, ...request });

test("the light ranker recovers a planted logistic model: its probabilities are the true ones", async () => {
  // The transform bends features, so the truth is planted in what the model sees: one unit after the transform.
  const bent = (x: number): number => Math.sign(x) * Math.log1p(Math.abs(x));
  const head: PlantedHead = {
    name: "click",
    truth: (x) => -1 + 2 * bent(x[0] as number) - 1.5 * bent(x[1] as number),
  };
  const planted = plantedRows({ n: 24_000, features: 4, heads: [head], seed: 1 });
  const model = await train({
    kind: "light",
    ...split(planted),
    options: { fit: { batchSize: 128 } },
  });
  const { validation } = split(planted);
  const predicted = await model.predict(validation);
  let error = 0;
  for (let row = 0; row < validation.n; row++) {
    const x = validation.features.subarray(row * 4, row * 4 + 4);
    const truth = 1 / (1 + Math.exp(-head.truth(x, 0)));
    error += Math.abs((predicted[row] as number) - truth) / validation.n;
  }
  expect(error).toBeLessThan(0.012);
  await model.close();
});

test("a rare head that learns from a tenth of its negatives predicts the rate of all rows before calibration", async () => {
  const rare: PlantedHead = { name: "share", truth: (x) => -6 + (x[0] as number) };
  const rows = plantedRows({ n: 40_000, features: 3, heads: [rare, linear], seed: 9 });
  const request = split(rows);
  const model = await train({
    kind: "light",
    ...request,
    options: { fit: { batchSize: 256, rareNegatives: 0.1 } },
  });
  const outputs = await model.outputs(request.validation);
  let [predicted, happened] = [0, 0];
  for (let row = 0; row < request.validation.n; row++) {
    predicted += 1 / (1 + Math.exp(-(outputs[2 * row] as number)));
    happened += 1 / (1 + Math.exp(6 - (request.validation.features[3 * row] as number)));
  }
  expect(predicted / happened).toBeGreaterThan(0.7);
  expect(predicted / happened).toBeLessThan(1.4);
  expect(await headAuc(model, request.validation, "share")).toBeGreaterThan(0.65);
  await model.close();
});

test("the heavy ranker learns an interaction that logistic regression cannot", async () => {
  const rows = plantedRows({ n: 30_000, features: 6, heads: [interaction, linear], seed: 2 });
  const request = split(rows);
  const heavy = await train({
    kind: "heavy",
    ...request,
    options: { heavy: SMALL, fit: { batchSize: 256, learningRate: 3e-3 } },
  });
  const light = await train({ kind: "light", ...request });
  const [deep, flat] = [
    await headAuc(heavy, request.validation, "favorite"),
    await headAuc(light, request.validation, "favorite"),
  ];
  expect(flat).toBeLessThan(0.55);
  expect(deep).toBeGreaterThan(0.75);
  const both = [
    await headAuc(heavy, request.validation, "click"),
    await headAuc(light, request.validation, "click"),
  ];
  expect(Math.abs((both[0] as number) - (both[1] as number))).toBeLessThan(0.01);
  await heavy.close();
  await light.close();
});

test("ids carry what no feature tells, and an unseen id counts as missing", async () => {
  const byId: PlantedHead = { name: "click", truth: (_x, id) => (id % 2 === 0 ? 1.5 : -1.5) };
  const rows = plantedRows({
    n: 16_000,
    features: 2,
    heads: [byId],
    seed: 3,
    ids: [{ name: "author", values: 20 }],
  });
  const { train: first, validation } = split(rows);
  const model = await train({
    kind: "heavy",
    train: first,
    validation,
    options: { heavy: { ...SMALL, idBuckets: 4096, idLearningRate: 0.1 }, fit: { batchSize: 128 } },
  });
  expect(await headAuc(model, validation, "click")).toBeGreaterThan(0.8);
  const one = sliceRows(validation, 0, 2);
  const strangers = { ...one, ids: Uint32Array.of(999_983, 0), features: new Float32Array(4) };
  const [unseen, missing] = await model.predict(strangers);
  expect(unseen).toBe(missing);
  await model.close();
});

test("the published bundle predicts what the model predicts, and holds what was trained", async () => {
  const seconds: PlantedHead = {
    name: "dwell_seconds",
    kind: "continuous",
    truth: (x) => 10 * Math.exp(0.5 * (x[0] as number)),
  };
  const never: PlantedHead = { name: "report", truth: () => -60 };
  const rows = plantedRows({
    n: 8000,
    features: 5,
    heads: [linear, seconds, never],
    seed: 4,
    ids: [
      { name: "author", values: 30 },
      { name: "topic", values: 5 },
    ],
    missing: 0.1,
  });
  const request = split(rows);
  const model = await train({
    kind: "heavy",
    ...request,
    metricRounds: 40,
    featureSubset: ["x3", "x0", "x1"],
    options: { heavy: SMALL, fit: { batchSize: 128, maxPasses: 2 } },
  });
  expect(model.maskedHeads).toEqual(["report"]);

  const parent = await mkdtemp(join(tmpdir(), "bundle-"));
  const written = await model.publish(join(parent, "heavy"), {
    schemaHash: "abc",
    source: "planted",
  });
  await model.publish(join(parent, "heavy"), { schemaHash: "abc", source: "planted" });
  expect(await readdir(parent)).toEqual(["heavy"]);
  const { manifest, model: onnx } = await readBundle(join(parent, "heavy"));
  expect(manifest).toEqual(written);
  expect(manifest.features).toEqual(["x3", "x0", "x1"]);
  expect(manifest.heads.map((head) => head.kind)).toEqual(["binary", "continuous", "binary"]);
  expect(manifest.masked_heads).toEqual(["report"]);
  expect(manifest.data.rows).toBe(request.train.n);
  expect(manifest.data.to_ms).toBeLessThan(request.validation.timeMs[0] as number);
  const click = manifest.metrics.click?.auc as { low: number; value: number; high: number };
  expect(click.low).toBeLessThan(click.value);
  expect(click.high).toBeGreaterThan(click.value);
  const ratio = manifest.metrics.dwell_seconds?.calibration_ratio as { value: number };
  expect(ratio.value).toBeCloseTo(1, 3);

  // A server has only the bundle: bucket the ids, run the model, apply the calibration.
  const session = await onnxSession(onnx, 1);
  const n = 50;
  const some = sliceRows(request.validation, 0, n);
  const features = Float32Array.from({ length: n * 3 }, (_, i) => {
    const name = manifest.features[i % 3] as string;
    const column = some.featureNames.indexOf(name);
    return some.features[Math.floor(i / 3) * 5 + column] as number;
  });
  const ids = Int32Array.from(some.ids, (hash, i) => {
    const { buckets } = manifest.ids[i % 2] as { buckets: number };
    return 1 + (hash % (buckets - 1));
  });
  const { outputs } = await session.run({
    features: { data: features, shape: [n, 3] },
    ids: { data: ids, shape: [n, 2] },
  });
  const predicted = await model.predict(some);
  for (let i = 0; i < n * 3; i++) {
    const rule = manifest.calibration[i % 3];
    if (i % 3 !== 2 && rule)
      expect(predicted[i]).toBe(Math.fround(calibrate(rule, outputs?.[i] as number)));
  }
  expect(predicted.filter((_, i) => i % 3 === 2).every((p) => p === 0)).toBe(true);
  await session.release();
  await model.close();
});

test("the same seed gives the same model bytes, another seed others", async () => {
  const rows = plantedRows({ n: 3000, features: 3, heads: [linear], seed: 5 });
  const options = { heavy: SMALL, fit: { batchSize: 64, maxPasses: 1 } };
  const run = async (seed: number): Promise<string> => {
    const model = await train({ kind: "heavy", ...split(rows), options, seed });
    await model.close();
    return Buffer.from(model.parts.onnx).toString("base64");
  };
  const [first, again, other] = [await run(1), await run(1), await run(2)];
  expect(again === first).toBe(true);
  expect(other === first).toBe(false);
});

test("rows that cannot be learned from are refused by name", async () => {
  const rows = plantedRows({ n: 200, features: 2, heads: [linear], seed: 6 });
  const request = { kind: "light" as const, ...split(rows) };
  await expect(train({ ...request, featureSubset: ["x0", "colour"] })).rejects.toThrow(/colour/);
  await expect(train({ ...request, train: sliceRows(rows, 0, 0) })).rejects.toThrow(/no training/);
  await expect(
    train({ ...request, train: request.validation, validation: request.train }),
  ).rejects.toThrow(/split by time/);
  await expect(train({ ...request, options: { fit: { batchsize: 3 } as object } })).rejects.toThrow(
    /batchsize/,
  );
});

test("averaged networks are a mean of networks that differ, and their mean is no worse than the first alone", async () => {
  const planted = plantedRows({ n: 6_000, features: 5, heads: [linear, interaction], seed: 21 });
  const rows = split(planted);
  const fit = { batchSize: 128, maxPasses: 2 };
  const one = await train({ kind: "heavy", ...rows, options: { fit, heavy: SMALL } });
  const three = await train({
    kind: "heavy",
    ...rows,
    options: { fit, heavy: { ...SMALL, members: 3 } },
  });
  expect(three.parts.parameters).toBe(3 * one.parts.parameters);
  const outputs = await three.outputs(rows.validation);
  expect(outputs).not.toEqual(await one.outputs(rows.validation));
  for (const head of ["click", "favorite"])
    expect(await headAuc(three, rows.validation, head)).toBeGreaterThan(
      (await headAuc(one, rows.validation, head)) - 0.01,
    );
  await one.close();
  await three.close();
});
