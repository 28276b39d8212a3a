import { type Dim, elementCount, normalAxis } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** Mean over `axes` (all by default); `keepDims` leaves them with size 1. The mean over no elements is NaN. */
export function reduceMean(x: Value, axes?: readonly number[], keepDims = false): Value {
  const reduced = [
    ...new Set((axes ?? x.shape.map((_, i) => i)).map((a) => normalAxis("reduceMean", x.shape, a))),
  ];
  const kept: Dim[] = x.shape.map((dim, axis) => (reduced.includes(axis) ? 1 : dim));
  return addOp({
    op: "reduceMean",
    inputs: [x],
    shape: keepDims ? kept : x.shape.filter((_, axis) => !reduced.includes(axis)),
    emit: (onnx, { inputs: [a], outputs }) =>
      reduced.length === 0
        ? onnx.node("Identity", [a!], outputs)
        : onnx.node("ReduceMean", [a!, onnx.int64s(reduced)], outputs, {
            keepdims: Number(keepDims),
          }),
    gradient: (dy, ops) => {
      const share = ops.div(dy, ops.size(x, reduced));
      return [ops.expandLike(keepDims ? share : ops.reshape(share, kept), x)];
    },
    tfjs: (tf, [t]) => (reduced.length === 0 ? t!.clone() : tf.mean(t!, reduced, keepDims)),
    flops: (n) => elementCount(x.shape, n),
  });
}
