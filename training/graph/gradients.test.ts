import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { gradients } from "./gradients.ts";
import { decodeOnnx } from "./onnx-proto.ts";
import { expectClose } from "./op.contract.ts";
import { ops } from "./ops.ts";
import { onnxSession } from "./run-onnx.ts";
import { type Fed, runTwins, toTensor } from "./run-tfjs.ts";
import { toOnnx } from "./to-onnx.ts";
import { countFlops } from "./traverse.ts";
import { constant, input, parameter, scalar, type Value } from "./value.ts";

const leafName = (value: Value): string => (value.source as { name: string }).name;

async function bothGradients(loss: Value, wrt: Value[], feeds: Record<string, Fed>) {
  const outputs = Object.fromEntries(gradients(loss, wrt).map((g, i) => [`g${i}`, g]));
  const session = await onnxSession(toOnnx({ outputs: { loss, ...outputs } }), 1);
  const ours = await session.run(feeds);
  await session.release();
  const leaves = new Map(Object.entries(feeds).map(([key, fed]) => [key, toTensor(tf, fed)]));
  const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
    const all = new Map(leaves);
    wrt.forEach((leaf, i) => {
      all.set(leafName(leaf), tensors[i] as tf.Tensor);
    });
    return runTwins(tf, [loss], all)[0] as tf.Scalar;
  })(wrt.map((leaf) => leaves.get(leafName(leaf)) as tf.Tensor));
  expectClose(ours.loss as Float32Array, await value.data(), 2e-5, "loss");
  for (const [i, gradient] of grads.entries())
    expectClose(ours[`g${i}`] as Float32Array, await gradient.data(), 5e-5, leafName(wrt[i]!));
  return ours;
}

test("a two-tower softmax with in-batch negatives and log-Q correction differentiates like TensorFlow.js", async () => {
  const draws = random(1, "two-tower");
  const fed = (shape: number[]): Fed => ({
    shape,
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => draws.normal()),
  });
  const [users, posts, logQ] = [
    input("users", ["n", 5]),
    input("posts", ["n", 4]),
    input("log_q", ["n"]),
  ];
  const [wu, wp] = [parameter("wu", [5, 3]), parameter("wp", [4, 3])];
  const unit = (x: Value): Value => ops.div(x, ops.sqrt(ops.reduceSum(ops.square(x), [1], true)));
  const u = unit(ops.matmul(users, wu)); // [n, 3]
  const p = unit(ops.matmul(posts, wp)); // [n, 3]
  const scores = ops.mul(ops.matmul(u, p, { transposeB: true }), scalar(5)); // [n, n]
  const corrected = ops.sub(scores, ops.reshape(logQ, [1, "n"]));
  const own = ops.mul(ops.logSoftmax(corrected), ops.eyeLike(scores));
  const loss = ops.neg(ops.reduceMean(ops.reduceSum(own, [1])));
  await bothGradients(loss, [wu, wp], {
    users: fed([7, 5]),
    posts: fed([7, 4]),
    log_q: fed([7]),
    wu: fed([5, 3]),
    wp: fed([4, 3]),
  });
});

test("a value read twice gets the sum of both gradients, one that is not read gets zeros", async () => {
  const [x, unused] = [input("x", ["n"]), input("unused", [2])];
  const loss = ops.reduceSum(ops.add(ops.square(x), ops.mul(x, scalar(3))));
  const outputs = Object.fromEntries(gradients(loss, [x, unused]).map((g, i) => [`g${i}`, g]));
  const session = await onnxSession(toOnnx({ outputs }), 1);
  const results = await session.run({
    x: { data: Float32Array.of(1, -2), shape: [2] },
    unused: { data: Float32Array.of(9, 9), shape: [2] },
  });
  expect([...(results.g0 as Float32Array)]).toEqual([5, -1]);
  expect([...(results.g1 as Float32Array)]).toEqual([0, 0]);
  await session.release();
});

test("a loss that is not a scalar is refused", () => {
  expect(() => gradients(input("x", ["n"]), [])).toThrow(/\[n\]: loss must be \[\]/);
});

test("parameters with weights become initialisers, the others inputs; names and sizes are checked", () => {
  const [x, w, b] = [input("x", ["n", 2]), parameter("w", [2, 3]), parameter("b", [3])];
  const y = ops.add(ops.matmul(x, w), b);
  const weights = new Map([["w", new Float32Array(6)]]);
  const model = decodeOnnx(toOnnx({ outputs: { y }, weights }));
  expect(model.graph.input.map(({ name }) => name)).toEqual(["x", "b"]);
  expect(model.graph.initializer.map(({ name, dims }) => [name, dims])).toEqual([["w", [2, 3]]]);
  expect(model.graph.input[0]?.type.tensorType.shape?.dim[0]?.dimParam).toBe("n");
  expect(model.graph.output[0]?.name).toBe("y");
  expect(() => toOnnx({ outputs: { y }, weights: new Map([["w", new Float32Array(5)]]) })).toThrow(
    /parameter w \[2, 3\]: got 5 weights/,
  );
  expect(() => toOnnx({ outputs: { y: ops.add(x, input("x", [2])) } })).toThrow(/named x/);
});

test("equal graphs give equal bytes", () => {
  const build = (): Uint8Array => {
    const x = input("x", ["n", 2]);
    const loss = ops.reduceSum(ops.square(ops.matmul(x, constant(Float32Array.of(1, 2), [2, 1]))));
    return toOnnx({ outputs: { g: gradients(loss, [x])[0] as Value } });
  };
  expect(Buffer.from(build()).equals(Buffer.from(build()))).toBe(true);
});

test("FLOPs of a product are 2·m·k·p, of other ops one per element", () => {
  const y = ops.relu(ops.matmul(input("x", ["n", 4]), parameter("w", [4, 3])));
  expect(countFlops([y], 10)).toBe(2 * 10 * 4 * 3 + 10 * 3);
});
