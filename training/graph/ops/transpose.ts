import { type Dim, shapeError } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** Axes reordered: output axis i is input axis `order[i]` (reversed by default). @throws GRAPH_SHAPE when `order` is no permutation. */
export function transpose(
  x: Value,
  order: readonly number[] = x.shape.map((_, i) => x.shape.length - 1 - i),
): Value {
  if ([...order].sort((a, b) => a - b).join() !== x.shape.map((_, i) => i).join())
    throw shapeError("transpose", `[${order}] is not a permutation of the axes`, x.shape);
  const inverse = order.map((_, axis) => order.indexOf(axis));
  return addOp({
    op: "transpose",
    inputs: [x],
    shape: order.map((axis) => x.shape[axis] as Dim),
    dtype: x.dtype,
    emit: (onnx, { inputs, outputs }) => onnx.node("Transpose", inputs, outputs, { perm: order }),
    gradient: (dy, ops) => [ops.transpose(dy, inverse)],
    tfjs: (tf, [t]) => tf.transpose(t!, [...order]),
    flops: () => 0,
  });
}
