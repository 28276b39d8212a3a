import { expect, test } from "vitest";
import { auc } from "../../experiments/metrics/auc.ts";
import { checkWeights } from "../../features/check-weights.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { decodeOnnx } from "../graph/onnx-proto.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import { plantedRows, sliceRows } from "../trainers/planted-rows.ts";
import { trainRanker } from "../trainers/train-ranker.ts";
import { ELEMENT, foreignModel, writeDense } from "./foreign-models.fixture.ts";
import { heavyModel } from "./heavy-models.fixture.ts";
import { optimiseOnnx } from "./optimise-onnx.ts";
import { probeOnnx } from "./probe-onnx.ts";
import { quantiseOnnx, type SampleRows } from "./quantise-onnx.ts";

async function run(model: Uint8Array, { n, features, ids }: SampleRows): Promise<Float32Array> {
  const session = await onnxSession(model, 1);
  try {
    const { outputs } = await session.run({
      features: { data: features, shape: [n, features.length / n] },
      ids: { data: ids, shape: [n, ids.length / n] },
    });
    return outputs as Float32Array;
  } finally {
    await session.release();
  }
}

test("a product in 8 bits is what integers and their scales say, bias included", async () => {
  const side = 128;
  const draw = (i: number): number => Math.sin(i * 12.9898) * 2;
  const weights = Array.from({ length: side * side }, (_, i) => draw(i));
  const bias = Array.from({ length: side }, (_, i) => draw(i + 7));
  const [input, output] = ["features", "outputs"].map((name) => ({
    name,
    type: ELEMENT.float32,
    shape: ["n", side] as const,
  }));
  const dense = foreignModel([input!], [output!], (writer) =>
    writeDense(writer, ["features", "outputs"], weights, bias),
  );
  const features = Float32Array.from({ length: 4 * side }, (_, i) => draw(i * 3 + 1));
  // Beyond what the sample showed: it counts as the largest seen.
  const sample = { n: 4, features, ids: new Int32Array(0) };
  const asked = { ...sample, features: Float32Array.from(features) };
  asked.features[5] = 1000;
  const { model, products } = await quantiseOnnx(dense, sample);
  expect(products).toBe(1);
  const got = await run(model, asked);

  const [low, high] = [Math.min(0, ...features), Math.max(0, ...features)];
  const step = Math.fround((high - low) / 255);
  const zero = Math.round(-low / step);
  const whole = Array.from(asked.features, (x) =>
    Math.min(255, Math.max(0, Math.round(x / step) + zero)),
  );
  for (let row = 0; row < 4; row++)
    for (let column = 0; column < side; column++) {
      const own = Array.from({ length: side }, (_, i) => weights[i * side + column] as number);
      const scale = Math.max(...own.map(Math.abs)) / 63;
      const sum = own.reduce(
        (total, w, i) => total + ((whole[row * side + i] as number) - zero) * Math.round(w / scale),
        0,
      );
      expect(got[row * side + column]).toBeCloseTo(
        sum * step * scale + (bias[column] as number),
        2,
      );
    }
});

const heavy = heavyModel();

test.each(["as written", "optimised"])(
  "a heavy ranker %s scores nearly the same in 8 bits, and smaller",
  async (form) => {
    const before = form === "optimised" ? await optimiseOnnx(heavy.model) : heavy.model;
    const { model, products } = await quantiseOnnx(before, heavy.rows);
    // Mask in, twice mask out and block, the trunk, and the choice of missing indicators.
    expect(products).toBe(7);
    expect(model.length).toBeLessThan(0.6 * before.length);
    expect(checkWeights(model)).toBeLessThan(checkWeights(before));
    const [a, b] = [await run(before, heavy.rows), await run(model, heavy.rows)];
    const logits = (values: Float32Array): number[] => [...values].filter((_, i) => i % 2 === 0);
    const worst = Math.max(...logits(a).map((z, i) => Math.abs(z - (logits(b)[i] as number))));
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(0.1);
    for (const { opType, input } of decodeOnnx(model).graph.node)
      if (opType === "MatMulIntegerToFloat") expect(input).toHaveLength(input[6] ? 7 : 6);
  },
);

test("a row's output does not depend on the rows beside it", async () => {
  const { model } = await quantiseOnnx(heavy.model, heavy.rows);
  const d = heavy.rows.features.length / heavy.rows.n;
  const together = await run(model, heavy.rows);
  for (const row of [0, 7, 63]) {
    const alone = await run(model, {
      n: 1,
      features: heavy.rows.features.slice(row * d, (row + 1) * d),
      ids: heavy.rows.ids.slice(row, row + 1),
    });
    for (const column of [0, 1])
      expect(alone[column]).toBeCloseTo(together[row * 2 + column] as number, 5);
  }
  await probeOnnx(model, {
    features: Array.from({ length: d }, (_, i) => `x${i}`),
    ids: [{ name: "author", buckets: 32 }],
    heads: [
      { name: "click", kind: "binary" },
      { name: "dwell_seconds", kind: "continuous" },
    ],
  });
});

test("a model without a large product is refused, and so is one that is quantised already", async () => {
  const small = heavyModel(6);
  await expect(quantiseOnnx(small.model, { ...small.rows })).resolves.toMatchObject({
    products: 1,
  });
  const { model } = await quantiseOnnx(heavy.model, heavy.rows);
  await expect(quantiseOnnx(model, heavy.rows)).rejects.toMatchObject({
    code: "BAD_BUNDLE",
    message: expect.stringContaining("no matrix product"),
  });
});

test("a trained heavy ranker loses less than .005 of AUC in 8 bits", async () => {
  const planted = plantedRows({
    n: 6000,
    features: 130,
    heads: [{ name: "click", truth: (x) => 1.5 * (x[0] as number) - (x[1] as number) - 1 }],
    seed: 2,
  });
  const [train, validation] = [sliceRows(planted, 0, 4500), sliceRows(planted, 4500, 6000)];
  const ranker = await trainRanker({
    kind: "heavy",
    train,
    validation,
    seed: 1,
    threads: 1,
    metricRounds: 0,
    options: { fit: { batchSize: 256, maxPasses: 6 }, heavy: { blocks: 2, trunk: [64] } },
  });
  const rowsOf = (rows: TrainingRows): SampleRows => ({
    n: rows.n,
    features: Float32Array.from(rows.features),
    ids: new Int32Array(0),
  });
  const { model } = await quantiseOnnx(ranker.parts.onnx, rowsOf(sliceRows(train, 0, 500)));
  const judged = async (bytes: Uint8Array): Promise<number> =>
    auc({
      scores: await run(bytes, rowsOf(validation)),
      labels: Float32Array.from(validation.labels),
    });
  const [before, after] = [await judged(ranker.parts.onnx), await judged(model)];
  expect(before).toBeGreaterThan(0.75);
  expect(after).toBeGreaterThan(before - 0.005);
  await ranker.close();
}, 30_000);
