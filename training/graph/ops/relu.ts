import { addOp, type Value } from "../value.ts";

/** max(x, 0); the gradient at 0 is 0. */
export function relu(x: Value): Value {
  return addOp({
    op: "relu",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Relu", inputs, outputs),
    gradient: // sign(max(x, 0)) is the step function, and reading y instead of x lets onnxruntime fuse the activation.
      (dy, ops, y) => [ops.mul(dy, ops.sign(y))],
    tfjs: (tf, [t]) => tf.relu(t!),
  });
}
