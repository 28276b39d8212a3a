import { ONNX_TYPE } from "../onnx-proto.ts";
import { sameShape, shapeError } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/**
 * Sums rows by index: `updates` [..., d] at int32 `indices` [...] → [rows, d]; repeated indices add up.
 * @throws GRAPH_SHAPE when the leading axes differ.
 */
export function scatterAdd(indices: Value, updates: Value, rows: number): Value {
  const width = updates.shape.at(-1);
  if (typeof width !== "number" || !sameShape(indices.shape, updates.shape.slice(0, -1)))
    throw shapeError("scatterAdd", "one row per index", indices.shape, updates.shape);
  return addOp({
    op: "scatterAdd",
    inputs: [indices, updates],
    shape: [rows, width],
    emit: (onnx, { inputs: [i, u], outputs }) => {
      const [wide, column, flat, zeros] = [onnx.fresh(), onnx.fresh(), onnx.fresh(), onnx.fresh()];
      onnx.node("Cast", [i!], [wide], { to: ONNX_TYPE.int64 });
      onnx.node("Reshape", [wide, onnx.int64s([-1, 1])], [column]);
      onnx.node("Reshape", [u!, onnx.int64s([-1, width])], [flat]);
      onnx.node(
        "Expand",
        [onnx.constant(Float32Array.of(0), []), onnx.int64s([rows, width])],
        [zeros],
      );
      onnx.node("ScatterND", [zeros, column, flat], outputs, { reduction: "add" });
    },
    gradient: (dy, ops) => [undefined, ops.gather(dy, indices)],
    tfjs: (tf, [i, u]) =>
      tf.unsortedSegmentSum(tf.reshape(u!, [-1, width]), tf.reshape(i!, [-1]).toInt().as1D(), rows),
  });
}
