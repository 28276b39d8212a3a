import * as tf from "@tensorflow/tfjs";
import { expect } from "vitest";
import { random } from "../../datasets/random.ts";
import { gradients } from "./gradients.ts";
import { ops } from "./ops.ts";
import { onnxSession } from "./run-onnx.ts";
import { type Fed, runTwins, toTensor } from "./run-tfjs.ts";
import { elementCount, type Shape } from "./shape.ts";
import { toOnnx } from "./to-onnx.ts";
import { input, type Value } from "./value.ts";

/** One use of an op: operand shapes, how to build it, and where its operands may lie. */
export interface OpCase {
  readonly shapes: readonly Shape[];
  readonly build: (...operands: Value[]) => Value;
  /** Draws operands from low…high; default −2…2. */
  readonly range?: readonly [number, number];
  /** Points around which no operand element may lie, because the op bends there. */
  readonly away?: readonly number[];
  /** Operands that are int32 indices below this number, by position. */
  readonly indices?: Readonly<Record<number, number>>;
  /** False for ops without a gradient. */
  readonly differentiable?: boolean;
}

const ROWS = 3;
const STEP = 5e-3;

/**
 * What every op must hold: onnxruntime and the TensorFlow.js twin compute the same, and the gradient rule agrees with
 * TensorFlow.js' own differentiation of the twin and with central differences of onnxruntime's forward pass.
 */
export async function checkOp(name: string, opCase: OpCase, seed = 1): Promise<void> {
  const { shapes, build, range = [-2, 2], away = [], indices = {} } = opCase;
  const draws = random(seed, name, JSON.stringify(shapes));
  const between = (low: number, high: number): number => low + (high - low) * draws.next();
  const draw = (): number => {
    for (;;) {
      const value = between(range[0], range[1]);
      if (away.every((point) => Math.abs(value - point) > 4 * STEP)) return value;
    }
  };
  const operands = shapes.map((shape, i) =>
    input(`x${i}`, shape, indices[i] === undefined ? "float32" : "int32"),
  );
  const fed: Record<string, Fed> = {};
  shapes.forEach((shape, i) => {
    const size = elementCount(shape, ROWS);
    const limit = indices[i];
    fed[`x${i}`] = {
      shape: shape.map((dim) => (dim === "n" ? ROWS : dim)),
      data:
        limit === undefined
          ? Float32Array.from({ length: size }, draw)
          : Int32Array.from({ length: size }, () => draws.below(limit)),
    };
  });

  const raw = build(...operands);
  const y = raw.dtype === "float32" ? raw : ops.toFloat(raw);
  const forward = await onnxSession(toOnnx({ outputs: { y } }), 1);
  const value = (await forward.run(fed)).y as Float32Array;
  expect(value.length, `${name}: declared shape`).toBe(elementCount(y.shape, ROWS));
  const leaves = new Map(Object.entries(fed).map(([key, tensor]) => [key, toTensor(tf, tensor)]));
  const twin = runTwins(tf, [y], leaves)[0] as tf.Tensor;
  expect(twin.shape, `${name}: twin's shape`).toEqual(
    y.shape.map((dim) => (dim === "n" ? ROWS : dim)),
  );
  expectClose(await twin.data(), value, 2e-5, `${name}: twin`);
  if (opCase.differentiable === false) {
    await forward.release();
    return;
  }

  // Random weights on the outputs make one scalar that exercises every element of the gradient.
  const weights = input("weights", y.shape);
  fed.weights = {
    shape: twin.shape,
    data: Float32Array.from({ length: value.length }, () => between(0.5, 1.5)),
  };
  const floats = operands.filter((operand) => operand.dtype === "float32");
  const found = gradients(ops.reduceSum(ops.mul(y, weights)), floats);
  const outputs = Object.fromEntries(found.map((gradient, i) => [`g${i}`, gradient]));
  const backward = await onnxSession(toOnnx({ outputs }), 1);
  const ours = await backward.run(fed);

  const floatNames = floats.map((operand) => (operand.source as { name: string }).name);
  const scaled = toTensor(tf, fed.weights);
  const theirs = tf.grads((...tensors: tf.Tensor[]) => {
    const all = new Map(leaves);
    floatNames.forEach((key, i) => {
      all.set(key, tensors[i] as tf.Tensor);
    });
    const loss = tf.sum(tf.mul(runTwins(tf, [y], all)[0] as tf.Tensor, scaled));
    // tf.grads refuses an operand of which only the shape is used: adding 0 of it makes its gradient zeros.
    return tensors.reduce(
      (sum, tensor) => tf.add(sum, tf.sum(tf.mul(tensor, 0))),
      loss as tf.Tensor,
    );
  })(floatNames.map((key) => leaves.get(key) as tf.Tensor));

  for (const [i, key] of floatNames.entries()) {
    const gradient = ours[`g${i}`] as Float32Array;
    expectClose(gradient, await (theirs[i] as tf.Tensor).data(), 5e-5, `${name}: d${key} vs tfjs`);
    const numeric = new Float32Array(gradient.length);
    const data = (fed[key] as Fed).data as Float32Array;
    for (let e = 0; e < numeric.length; e++) {
      const at = data[e] as number;
      const loss = async (x: number): Promise<number> => {
        data[e] = x;
        const out = (await forward.run(fed)).y as Float32Array;
        return out.reduce((sum, v, j) => sum + v * ((fed.weights as Fed).data[j] as number), 0);
      };
      const [above, below] = [Math.fround(at + STEP), Math.fround(at - STEP)];
      numeric[e] = ((await loss(above)) - (await loss(below))) / (above - below);
      data[e] = at;
    }
    expectClose(gradient, numeric, 3e-3, `${name}: d${key} vs differences`);
  }
  await forward.release();
  await backward.release();
}

/** Equal to `tolerance` of the larger of 1 and the largest magnitude. */
export function expectClose(
  actual: ArrayLike<number>,
  wanted: ArrayLike<number>,
  tolerance: number,
  label: string,
): void {
  expect(actual.length, `${label}: length`).toBe(wanted.length);
  let scale = 1;
  for (let i = 0; i < wanted.length; i++) scale = Math.max(scale, Math.abs(wanted[i] as number));
  for (let i = 0; i < wanted.length; i++) {
    const [a, w] = [actual[i] as number, wanted[i] as number];
    if (!(Math.abs(a - w) <= tolerance * scale) && !(Number.isNaN(a) && Number.isNaN(w)))
      expect.fail(`${label}: element ${i} is ${a}, wanted ${w} ± ${tolerance * scale}`);
  }
}
