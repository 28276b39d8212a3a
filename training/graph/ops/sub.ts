import { broadcastShape } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** a − b with broadcasting; float32 or int32. */
export function sub(a: Value, b: Value): Value {
  return addOp({
    op: "sub",
    inputs: [a, b],
    shape: broadcastShape("sub", a.shape, b.shape),
    dtype: a.dtype,
    emit: (onnx, { inputs, outputs }) => onnx.node("Sub", inputs, outputs),
    gradient: (dy, ops) => [ops.sumTo(dy, a), ops.sumTo(ops.neg(dy), b)],
    tfjs: (tf, [x, y]) => tf.sub(x!, y!),
  });
}
