import { type Dim, elementCount, type Shape, sameShape, shapeError } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/**
 * The same elements in row-major order under another shape.
 * @throws GRAPH_SHAPE when sizes differ or more than one axis is `"n"`.
 */
export function reshape(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  const batchAxes = (dims: Shape): number => dims.filter((dim) => dim === "n").length;
  if (batchAxes(shape) > 1 || batchAxes(shape) !== batchAxes(x.shape))
    throw shapeError("reshape", 'at most one axis may be "n", on both sides', x.shape, shape);
  if (elementCount(x.shape, 1) !== elementCount(shape, 1))
    throw shapeError("reshape", "element counts differ", x.shape, shape);
  const dims = shape.map((dim: Dim) => (dim === "n" ? -1 : dim));
  return addOp({
    op: "reshape",
    inputs: [x],
    shape,
    dtype: x.dtype,
    emit: (onnx, { inputs: [a], outputs }) =>
      onnx.node("Reshape", [a!, onnx.int64s(dims)], outputs),
    gradient: (dy, ops) => [ops.reshape(dy, x.shape)],
    tfjs: (tf, [t]) => tf.reshape(t!, dims),
    flops: () => 0,
  });
}
