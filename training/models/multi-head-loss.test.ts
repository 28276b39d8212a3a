import { expect, test } from "vitest";
import { gradients } from "../graph/gradients.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import { toOnnx } from "../graph/to-onnx.ts";
import { input, type Value } from "../graph/value.ts";
import { AMOUNT_UNIT, headOutputs, multiHeadLoss } from "./multi-head-loss.ts";

const KINDS = ["binary", "continuous"] as const;

test("loss, gradient and outputs follow cross-entropy and Poisson deviance, weighted", async () => {
  const raw = input("raw", ["n", 2]);
  const loss = multiHeadLoss(raw, KINDS);
  const [gradient] = gradients(loss, [raw]) as [Value];
  const outputs = headOutputs(raw, KINDS);
  const session = await onnxSession(toOnnx({ outputs: { loss, gradient, outputs } }), 1);
  const z = [0.3, 0.7, -2, 9];
  const y = [1, 2.5, 0, 0.1];
  const w = [0.5, 2, 0, 1];
  const shape = [2, 2];
  const results = await session.run({
    raw: { data: Float32Array.from(z), shape },
    labels: { data: Float32Array.from(y), shape },
    label_weights: { data: Float32Array.from(w), shape },
  });
  // The last amount's logit lies above ln 10 and is clipped, so nothing flows through it.
  const clipped = Math.log(10);
  const wanted =
    0.5 * (Math.log1p(Math.exp(0.3)) - 0.3) +
    2 * (Math.exp(0.7) - 2.5 * 0.7) +
    (10 - 0.1 * clipped);
  expect(results.loss?.[0]).toBeCloseTo(wanted, 4);
  const pieces = [0.5 * (1 / (1 + Math.exp(-0.3)) - 1), 2 * (Math.exp(0.7) - 2.5), 0, 0];
  pieces.forEach((value, i) => {
    expect(results.gradient?.[i]).toBeCloseTo(value, 5);
  });
  expect(results.outputs?.[0]).toBeCloseTo(0.3, 6);
  expect(results.outputs?.[1]).toBeCloseTo(AMOUNT_UNIT * Math.exp(0.7), 4);
  expect(results.outputs?.[3]).toBeCloseTo(300, 3);
  await session.release();
});

test("the logit of a head of whose negatives a share is fed stays that of all rows", async () => {
  const raw = input("raw", ["n", 2]);
  const loss = multiHeadLoss(raw, ["binary", "binary"], undefined, undefined, [0.1, 1]);
  const [gradient] = gradients(loss, [raw]) as [Value];
  const session = await onnxSession(toOnnx({ outputs: { gradient } }), 1);
  // 1 positive of 200 rows, of which 20 stand for the 199 negatives: the best logit is that of 1 : 199.
  const negatives = 19.9;
  const best = Math.log(1 / 199);
  const results = await session.run({
    raw: { data: Float32Array.of(best, best, best, best), shape: [2, 2] },
    labels: { data: Float32Array.of(1, 1, 0, 0), shape: [2, 2] },
    label_weights: { data: Float32Array.of(1, 1, negatives, 199), shape: [2, 2] },
  });
  const g = results.gradient as Float32Array;
  expect((g[0] as number) + (g[2] as number)).toBeCloseTo(0, 5);
  expect((g[1] as number) + (g[3] as number)).toBeCloseTo(0, 4);
  expect(g[0]).toBeCloseTo(1 / (1 + negatives) - 1, 5);
  await session.release();
});
