import { broadcastShape } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** a + b with broadcasting; float32 or int32. */
export function add(a: Value, b: Value): Value {
  return addOp({
    op: "add",
    inputs: [a, b],
    shape: broadcastShape("add", a.shape, b.shape),
    dtype: a.dtype,
    emit: (onnx, { inputs, outputs }) => onnx.node("Add", inputs, outputs),
    gradient: (dy, ops) => [ops.sumTo(dy, a), ops.sumTo(dy, b)],
    tfjs: (tf, [x, y]) => tf.add(x!, y!),
  });
}
