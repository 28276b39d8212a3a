import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { gradients } from "./gradients.ts";
import { checkOp, type OpCase } from "./op.contract.ts";
import { ops } from "./ops.ts";
import { onnxSession } from "./run-onnx.ts";
import { runTwins } from "./run-tfjs.ts";
import type { Shape } from "./shape.ts";
import { toOnnx } from "./to-onnx.ts";
import { constant, input, scalar, type Value } from "./value.ts";

const PAIRS: readonly (readonly [Shape, Shape])[] = [
  [
    ["n", 4],
    ["n", 4],
  ],
  [["n", 4], [4]],
  [[4], ["n", 4]],
  [
    ["n", 1],
    [1, 5],
  ],
  [
    ["n", 2, 4],
    ["n", 1, 4],
  ],
  [["n", 4], []],
];
const ALONE: readonly Shape[] = [["n", 4], [5], [], ["n", 2, 3]];

const pairs = (build: OpCase["build"], extra: Partial<OpCase> = {}): OpCase[] =>
  PAIRS.map((shapes) => ({ shapes, build, ...extra }));
const alone = (build: OpCase["build"], extra: Partial<OpCase> = {}): OpCase[] =>
  ALONE.map((shape) => ({ shapes: [shape], build, ...extra }));
const still = { differentiable: false };
const positive = { range: [0.3, 3] } as const;

const CASES: Readonly<Record<keyof typeof ops, readonly OpCase[]>> = {
  abs: alone(ops.abs, { away: [0] }),
  add: pairs(ops.add),
  bceWithLogits: [
    {
      shapes: [
        ["n", 3],
        ["n", 3],
      ],
      build: ops.bceWithLogits,
    },
    { shapes: [["n"], ["n"]], build: ops.bceWithLogits, range: [0, 1] },
  ],
  clip: alone((x) => ops.clip(x, -1, 0.5), { away: [-1, 0.5] }),
  concat: [
    {
      shapes: [
        ["n", 2],
        ["n", 3],
        ["n", 1],
      ],
      build: (...parts) => ops.concat(parts, 1),
    },
    {
      shapes: [
        [2, 3],
        [1, 3],
      ],
      build: (a, b) => ops.concat([a, b] as Value[], 0),
    },
    { shapes: [["n", 2]], build: (a) => ops.concat([a, a] as Value[], -1) },
  ],
  div: pairs(ops.div, positive),
  equal: [{ shapes: [["n", 4]], build: (x) => ops.equal(x, ops.relu(x)), ...still }],
  exp: alone(ops.exp),
  expandLike: [
    {
      shapes: [
        ["n", 1],
        ["n", 4],
      ],
      build: ops.expandLike,
    },
    { shapes: [[], ["n", 4]], build: ops.expandLike },
    { shapes: [[3], ["n", 2, 3]], build: ops.expandLike },
  ],
  eyeLike: [{ shapes: [["n", "n"]], build: ops.eyeLike, ...still }],
  gather: [
    { shapes: [[5, 3], ["n"]], build: ops.gather, indices: { 1: 5 } },
    {
      shapes: [
        [4, 2],
        ["n", 6],
      ],
      build: ops.gather,
      indices: { 1: 4 },
    },
  ],
  isNan: alone((x) => ops.isNan(ops.sqrt(x)), { ...still, away: [0] }),
  layerNorm: [
    { shapes: [["n", 6], [6], [6]], build: ops.layerNorm },
    { shapes: [["n", 2, 5], [5], [5]], build: ops.layerNorm },
    { shapes: [["n", 4], [4], [4]], build: (x, g, b) => ops.layerNorm(ops.tanh(x), g, b) },
  ],
  log: alone(ops.log, positive),
  logSoftmax: [
    { shapes: [["n", 5]], build: ops.logSoftmax },
    { shapes: [["n", 2, 3]], build: ops.logSoftmax, range: [-20, 20] },
  ],
  matmul: [
    {
      shapes: [
        ["n", 4],
        [4, 3],
      ],
      build: (a, b) => ops.matmul(a, b),
    },
    {
      shapes: [
        [4, "n"],
        [4, 3],
      ],
      build: (a, b) => ops.matmul(a, b, { transposeA: true }),
    },
    {
      shapes: [
        ["n", 4],
        ["n", 4],
      ],
      build: (a, b) => ops.matmul(a, b, { transposeB: true }),
    },
    {
      shapes: [
        [4, "n"],
        [5, 4],
      ],
      build: (a, b) => ops.matmul(a, b, { transposeA: true, transposeB: true }),
    },
    {
      shapes: [
        [2, "n", 4],
        [2, 4, 3],
      ],
      build: (a, b) => ops.matmul(a, b),
    },
    {
      shapes: [
        [2, "n", 4],
        [2, 3, 4],
      ],
      build: (a, b) => ops.matmul(a, b, { transposeB: true }),
    },
    {
      shapes: [
        [2, 4, "n"],
        [2, 4, 3],
      ],
      build: (a, b) => ops.matmul(a, b, { transposeA: true }),
    },
    {
      shapes: [
        [2, 4, "n"],
        [2, 3, 4],
      ],
      build: (a, b) => ops.matmul(a, b, { transposeA: true, transposeB: true }),
    },
  ],
  mul: pairs(ops.mul),
  neg: alone(ops.neg),
  notZero: alone((x) => ops.notZero(ops.relu(x)), still),
  pad: [
    { shapes: [["n", 3]], build: (x) => ops.pad(x, 1, 2, 1) },
    { shapes: [[2, "n"]], build: (x) => ops.pad(x, 0, 0, 3) },
  ],
  pow: [
    ...alone((x) => ops.pow(x, 1.7), positive),
    ...alone((x) => ops.pow(x, -0.5), positive),
    { shapes: [["n", 3]], build: (x) => ops.pow(x, 3) },
  ],
  reduceMean: [
    { shapes: [["n", 4]], build: (x) => ops.reduceMean(x) },
    { shapes: [["n", 4]], build: (x) => ops.reduceMean(x, [0]) },
    { shapes: [["n", 4, 2]], build: (x) => ops.reduceMean(x, [-1], true) },
    { shapes: [["n", 4, 2]], build: (x) => ops.reduceMean(x, [0, 2]) },
    { shapes: [[]], build: (x) => ops.reduceMean(x) },
  ],
  reduceSum: [
    { shapes: [["n", 4]], build: (x) => ops.reduceSum(x) },
    { shapes: [["n", 4]], build: (x) => ops.reduceSum(x, [0]) },
    { shapes: [["n", 4, 2]], build: (x) => ops.reduceSum(x, [-1], true) },
    { shapes: [["n", 4, 2]], build: (x) => ops.reduceSum(x, [0, 2]) },
    { shapes: [[]], build: (x) => ops.reduceSum(x) },
  ],
  relu: alone(ops.relu, { away: [0] }),
  reshape: [
    { shapes: [["n", 6]], build: (x) => ops.reshape(x, ["n", 2, 3]) },
    { shapes: [[2, "n", 3]], build: (x) => ops.reshape(x, ["n", 6]) },
    { shapes: [[]], build: (x) => ops.reshape(x, [1, 1]) },
  ],
  scatterAdd: [
    {
      shapes: [["n"], ["n", 4]],
      build: (i, u) => ops.scatterAdd(i, u, 2),
      indices: { 0: 2 },
    },
    {
      shapes: [
        ["n", 5],
        ["n", 5, 2],
      ],
      build: (i, u) => ops.scatterAdd(i, u, 7),
      indices: { 0: 7 },
    },
  ],
  sigmoid: alone(ops.sigmoid, { range: [-6, 6] }),
  sign: alone(ops.sign, still),
  size: [
    { shapes: [["n", 4]], build: (x) => ops.size(x, [0]), ...still },
    { shapes: [["n", 4, 2]], build: (x) => ops.size(x, [0, -1]), ...still },
    { shapes: [["n", 4]], build: (x) => ops.size(x, []), ...still },
  ],
  slice: [
    { shapes: [["n", 5]], build: (x) => ops.slice(x, 1, 1, 3) },
    { shapes: [[4, "n"]], build: (x) => ops.slice(x, 0, 3, 1) },
  ],
  softmax: [
    { shapes: [["n", 5]], build: ops.softmax },
    { shapes: [["n", 2, 3]], build: ops.softmax, range: [-20, 20] },
  ],
  softplus: alone(ops.softplus, { range: [-6, 6] }),
  split: [
    {
      shapes: [["n", 6]],
      build: (x) => {
        const [a, b, c] = ops.split(x, [1, 3, 2], 1) as [Value, Value, Value];
        return ops.add(ops.mul(a, b), ops.reduceSum(c, [1], true));
      },
    },
    // Nothing reads the first piece, so its part of the gradient must be zeros.
    {
      shapes: [["n", 6]],
      build: (x) => ops.square(ops.split(x, [2, 4], -1)[1] as Value),
    },
  ],
  sqrt: alone(ops.sqrt, positive),
  square: alone(ops.square),
  stopGradient: alone(ops.stopGradient, still),
  sub: pairs(ops.sub),
  sumTo: [
    { shapes: [["n", 4], [4]], build: ops.sumTo },
    {
      shapes: [
        ["n", 4],
        ["n", 1],
      ],
      build: ops.sumTo,
    },
    {
      shapes: [
        ["n", 3, 4],
        [1, 4],
      ],
      build: ops.sumTo,
    },
    { shapes: [["n", 4], []], build: ops.sumTo },
  ],
  tanh: alone(ops.tanh),
  toFloat: [{ shapes: [["n", 3]], build: ops.toFloat, indices: { 0: 9 }, ...still }],
  transpose: [
    { shapes: [["n", 4]], build: (x) => ops.transpose(x) },
    { shapes: [["n", 2, 3]], build: (x) => ops.transpose(x, [1, 2, 0]) },
  ],
  where: [
    {
      shapes: [
        ["n", 4],
        ["n", 4],
      ],
      build: (a, b) => ops.where(ops.equal(a, ops.relu(a)), a, b),
      away: [0],
    },
    {
      shapes: [["n", 1], [4], []],
      build: (c, a, b) => ops.where(ops.equal(c, ops.relu(c)), a, b),
      away: [0],
    },
  ],
};

for (const [name, cases] of Object.entries(CASES)) {
  test(`${name}: onnxruntime, its gradient rule, tfjs and central differences agree`, async () => {
    expect(cases.length).toBeGreaterThan(0);
    for (const opCase of cases) await checkOp(name, opCase);
  });
}

async function evaluate(y: Value, feeds: Record<string, Float32Array> = {}): Promise<Float32Array> {
  const session = await onnxSession(toOnnx({ outputs: { y } }), 1);
  const fed = Object.entries(feeds).map(([key, data]) => [key, { data, shape: [data.length] }]);
  const out = (await session.run(Object.fromEntries(fed))).y as Float32Array;
  await session.release();
  return out;
}

test("cross-entropy and softplus stay finite at logits of ±1,000", async () => {
  const z = constant(Float32Array.of(1000, -1000, 1000, -1000), [4]);
  const y = constant(Float32Array.of(1, 0, 0, 1), [4]);
  expect([...(await evaluate(ops.bceWithLogits(z, y)))]).toEqual([0, 0, 1000, 1000]);
});

test("no gradient flows through stopGradient, in our rule or in the twin", async () => {
  const x = input("x", ["n"]);
  const loss = ops.reduceSum(ops.mul(ops.stopGradient(x), x));
  const gradient = gradients(loss, [x])[0] as Value;
  expect([...(await evaluate(gradient, { x: Float32Array.of(3, -2) }))]).toEqual([3, -2]);
  const twin = tf.grad((t) => runTwins(tf, [loss], new Map([["x", t]]))[0] as tf.Tensor);
  expect([...twin(tf.tensor1d([3, -2])).dataSync()]).toEqual([3, -2]);
});

test("where keeps the NaN of the branch that is not taken out of the result", async () => {
  const x = input("x", ["n"]);
  const filled = ops.where(ops.isNan(x), scalar(7), x);
  expect([...(await evaluate(filled, { x: Float32Array.of(1, Number.NaN, -2) }))]).toEqual([
    1, 7, -2,
  ]);
});

test("a wrong shape is refused with the op and both shapes in the message", () => {
  const a = input("a", ["n", 3]);
  const b = input("b", [4, 2]);
  expect(() => ops.matmul(a, b)).toThrow(
    /matmul \[n, 3\] and \[4, 2\]: inner sizes 3 and 4 differ/,
  );
  expect(() => ops.add(a, b)).toThrow(/add \[n, 3\] and \[4, 2\]: shapes do not broadcast/);
  expect(() => ops.reshape(a, [5, 2])).toThrow(/reshape \[n, 3\] and \[5, 2\]/);
  expect(() => ops.concat([a, b], 1)).toThrow(/concat/);
  expect(() => ops.split(a, [1, 1], 1)).toThrow(/split \[n, 3\]: sizes \[1,1\]/);
  expect(() => ops.gather(b, a)).toThrow(/gather .*int32/);
  expect(() => ops.layerNorm(a, b, b)).toThrow(/layerNorm/);
  expect(() => ops.transpose(a, [0, 0])).toThrow(/transpose/);
  expect(() => ops.reduceSum(a, [2])).toThrow(/axis 2 is outside the rank/);
});
