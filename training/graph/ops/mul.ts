import { broadcastShape } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** a · b with broadcasting. */
export function mul(a: Value, b: Value): Value {
  return addOp({
    op: "mul",
    inputs: [a, b],
    shape: broadcastShape("mul", a.shape, b.shape),
    dtype: a.dtype,
    emit: (onnx, { inputs, outputs }) => onnx.node("Mul", inputs, outputs),
    gradient: (dy, ops) => [ops.sumTo(ops.mul(dy, b), a), ops.sumTo(ops.mul(dy, a), b)],
    tfjs: (tf, [x, y]) => tf.mul(x!, y!),
  });
}
