import { addOp, type Value } from "../value.ts";

/** ln(1 + e^x), without overflow. */
export function softplus(x: Value): Value {
  return addOp({
    op: "softplus",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Softplus", inputs, outputs),
    gradient: (dy, ops) => [ops.mul(dy, ops.sigmoid(x))],
    tfjs: (tf, [t]) => tf.softplus(t!),
  });
}
