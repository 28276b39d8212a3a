import { broadcastShape } from "../shape.ts";
import { addOp, scalar, type Value } from "../value.ts";

/** a where the bool `condition` holds, b elsewhere, with broadcasting. Nothing of the other branch leaks, NaN included. */
export function where(condition: Value, a: Value, b: Value): Value {
  const shape = broadcastShape("where", condition.shape, broadcastShape("where", a.shape, b.shape));
  return addOp({
    op: "where",
    inputs: [condition, a, b],
    shape,
    dtype: a.dtype,
    emit: (onnx, { inputs, outputs }) => onnx.node("Where", inputs, outputs),
    gradient: (dy, ops) => [
      undefined,
      ops.sumTo(ops.where(condition, dy, scalar(0)), a),
      ops.sumTo(ops.where(condition, scalar(0), dy), b),
    ],
    tfjs: (tf, [c, x, y]) => tf.where(c!, x!, y!),
  });
}
