import { normalAxis, shapeError } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** `size` elements of one fixed axis from `start` on. @throws GRAPH_SHAPE when they lie outside. */
export function slice(x: Value, axis: number, start: number, size: number): Value {
  const along = normalAxis("slice", x.shape, axis);
  const whole = x.shape[along];
  if (typeof whole !== "number" || start < 0 || size < 1 || start + size > whole)
    throw shapeError("slice", `${start}…${start + size} lies outside axis ${along}`, x.shape);
  return addOp({
    op: "slice",
    inputs: [x],
    shape: x.shape.map((dim, i) => (i === along ? size : dim)),
    dtype: x.dtype,
    emit: (onnx, { inputs: [a], outputs }) =>
      onnx.node(
        "Slice",
        [a!, onnx.int64s([start]), onnx.int64s([start + size]), onnx.int64s([along])],
        outputs,
      ),
    gradient: (dy, ops) => [ops.pad(dy, along, start, whole - start - size)],
    tfjs: (tf, [t]) =>
      tf.slice(
        t!,
        t!.shape.map((_, i) => (i === along ? start : 0)),
        t!.shape.map((dim, i) => (i === along ? size : dim)),
      ),
    flops: () => 0,
  });
}
