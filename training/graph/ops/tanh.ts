import { addOp, scalar, type Value } from "../value.ts";

/** Hyperbolic tangent. */
export function tanh(x: Value): Value {
  return addOp({
    op: "tanh",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Tanh", inputs, outputs),
    gradient: (dy, ops, y) => [ops.mul(dy, ops.sub(scalar(1), ops.square(y)))],
    tfjs: (tf, [t]) => tf.tanh(t!),
  });
}
