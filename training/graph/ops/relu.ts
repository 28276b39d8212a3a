import { addOp, type Value } from "../value.ts";

/** max(x, 0); the gradient at 0 is 0. */
export function relu(x: Value): Value {
  return addOp({
    op: "relu",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Relu", inputs, outputs),
    // Reading y instead of x lets onnxruntime fuse the activation; two casts take half the time of ONNX Sign.
    gradient: (dy, ops, y) => [ops.mul(dy, ops.toFloat(ops.notZero(y)))],
    tfjs: (tf, [t]) => tf.relu(t!),
  });
}
