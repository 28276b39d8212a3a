import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import { toOnnx } from "../graph/to-onnx.ts";
import { input } from "../graph/value.ts";
import { maskNet } from "./mask-net.ts";
import { filled, ParameterSet } from "./parameter-set.ts";

const CONFIG = { blocks: 2, maskHidden: 3, blockOutput: 4, trunk: [5], tower: 2 };

test("the graph equals the paper's formulas written out in plain loops", async () => {
  const parameters = new ParameterSet();
  const x = input("x", ["n", 3]);
  const biases = Float32Array.of(-1, 0.5);
  const y = maskNet(x, CONFIG, { biases }, parameters, random(1, "net"));
  const draws = random(2, "weights");
  for (const data of parameters.weights.values())
    for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) + 0.3 * draws.normal();
  const session = await onnxSession(toOnnx({ outputs: { y }, weights: parameters.weights }), 1);
  const row = Float32Array.of(0.4, -1.2, 0.9);
  const { y: out } = await session.run({ x: { data: row, shape: [1, 3] } });

  const w = (name: string): Float32Array => parameters.weights.get(name) as Float32Array;
  const dense = (from: ArrayLike<number>, weights: Float32Array, bias?: Float32Array): number[] => {
    const width = weights.length / from.length;
    return Array.from({ length: width }, (_, j) => {
      let sum = bias?.[j] ?? 0;
      for (let i = 0; i < from.length; i++)
        sum += (from[i] as number) * (weights[i * width + j] as number);
      return sum;
    });
  };
  const relu = (values: number[]): number[] => values.map((v) => Math.max(0, v));
  const hidden = relu(dense(row, w("mask_in"), w("mask_in_bias")));
  const joined: number[] = [];
  for (let b = 0; b < 2; b++) {
    const mask = dense(hidden.slice(b * 3, b * 3 + 3), w(`mask_out_${b}`), w(`mask_out_bias_${b}`));
    const mixed = dense(
      mask.map((m, i) => m * (row[i] as number)),
      w(`block_${b}`),
    );
    const mean = mixed.reduce((s, v) => s + v, 0) / 4;
    const variance = mixed.reduce((s, v) => s + (v - mean) ** 2, 0) / 4;
    const normal = mixed.map(
      (v, i) =>
        ((v - mean) / Math.sqrt(variance + 1e-5)) * (w(`block_scale_${b}`)[i] as number) +
        (w(`block_shift_${b}`)[i] as number),
    );
    joined.push(...relu(normal));
  }
  const shared = relu(dense(joined, w("trunk_0"), w("trunk_bias_0")));
  const towers = relu(dense(shared, w("tower_in"), w("tower_in_bias")));
  for (let head = 0; head < 2; head++) {
    let logit = w("head_bias")[head] as number;
    for (let i = 0; i < 3; i++) logit += (row[i] as number) * (w("wide")[i * 2 + head] as number);
    for (let unit = head * 2; unit < head * 2 + 2; unit++)
      logit += (towers[unit] as number) * (w("tower_out")[unit] as number);
    expect(out?.[head]).toBeCloseTo(logit, 5);
  }
  await session.release();
});

test("heads of one tower differ by their biases only, others do not", async () => {
  const parameters = new ParameterSet();
  const x = input("x", ["n", 3]);
  const biases = Float32Array.of(-1, 0.5, -4);
  const y = maskNet(x, CONFIG, { biases, towers: [0, 1, 0] }, parameters, random(1, "net"));
  expect(y.shape).toEqual(["n", 3]);
  const draws = random(2, "weights");
  for (const [name, data] of parameters.weights)
    if (name !== "head_bias")
      for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) + 0.3 * draws.normal();
  const session = await onnxSession(toOnnx({ outputs: { y }, weights: parameters.weights }), 1);
  const rows = Float32Array.of(0.4, -1.2, 0.9, -0.3, 0.8, 2);
  const { y: out } = await session.run({ x: { data: rows, shape: [2, 3] } });
  const [a, b] = [(out as Float32Array).slice(0, 3), (out as Float32Array).slice(3)] as const;
  expect((a[0] as number) + 1).toBeCloseTo((a[2] as number) + 4, 5);
  expect((b[0] as number) + 1).toBeCloseTo((b[2] as number) + 4, 5);
  expect(a[0]).not.toBeCloseTo(b[0] as number, 3);
  expect((a[0] as number) - (b[0] as number)).not.toBeCloseTo(
    (a[1] as number) - (b[1] as number),
    3,
  );
  await session.release();
});

test("a name is one parameter: asked for again it is shared, with another shape refused", () => {
  const parameters = new ParameterSet();
  const first = parameters.add("w", [2, 3], filled(1));
  expect(parameters.add("w", [2, 3], filled(9))).toBe(first);
  expect(parameters.weights.get("w")?.[0]).toBe(1);
  expect(parameters.count).toBe(6);
  expect(() => parameters.add("w", [3, 2], filled(1))).toThrow(/two shapes/);
});
