import { shapeError } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/**
 * Rows of a table: `table` [rows, d] by int32 `indices` [...] → [..., d].
 * Indices must lie in 0…rows − 1; onnxruntime refuses others when it runs.
 * @throws GRAPH_SHAPE when the table is not of rank 2 and fixed size, or the indices are not int32.
 */
export function gather(table: Value, indices: Value): Value {
  const [rows, width] = table.shape;
  if (table.shape.length !== 2 || typeof rows !== "number" || typeof width !== "number")
    throw shapeError("gather", "the table must be [rows, width]", table.shape, indices.shape);
  if (indices.dtype !== "int32")
    throw shapeError("gather", "indices must be int32", table.shape, indices.shape);
  return addOp({
    op: "gather",
    inputs: [table, indices],
    shape: [...indices.shape, width],
    emit: (onnx, { inputs, outputs }) => onnx.node("Gather", inputs, outputs, { axis: 0 }),
    gradient: (dy, ops) => [ops.scatterAdd(indices, dy, rows), undefined],
    tfjs: (tf, [t, i]) => tf.gather(t!, i!),
    flops: () => 0,
  });
}
