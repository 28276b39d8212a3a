import { type Dim, elementCount, normalAxis } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** Sum over `axes` (all by default); `keepDims` leaves them with size 1. */
export function reduceSum(x: Value, axes?: readonly number[], keepDims = false): Value {
  const reduced = new Set(
    (axes ?? x.shape.map((_, i) => i)).map((a) => normalAxis("reduceSum", x.shape, a)),
  );
  const kept: Dim[] = x.shape.map((dim, axis) => (reduced.has(axis) ? 1 : dim));
  return addOp({
    op: "reduceSum",
    inputs: [x],
    shape: keepDims ? kept : x.shape.filter((_, axis) => !reduced.has(axis)),
    emit: (onnx, { inputs: [a], outputs }) =>
      reduced.size === 0
        ? onnx.node("Identity", [a!], outputs)
        : onnx.node("ReduceSum", [a!, onnx.int64s([...reduced])], outputs, {
            keepdims: Number(keepDims),
          }),
    gradient: (dy, ops) => [ops.expandLike(keepDims ? dy : ops.reshape(dy, kept), x)],
    tfjs: (tf, [t]) => (reduced.size === 0 ? t!.clone() : tf.sum(t!, [...reduced], keepDims)),
    flops: (n) => elementCount(x.shape, n),
  });
}
