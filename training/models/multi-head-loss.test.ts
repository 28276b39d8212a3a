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
