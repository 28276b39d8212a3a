import { addOp, type Value } from "../value.ts";

/** |x|; the gradient at 0 is 0. */
export function abs(x: Value): Value {
  return addOp({
    op: "abs",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Abs", inputs, outputs),
    gradient: (dy, ops) => [ops.mul(dy, ops.sign(x))],
    tfjs: (tf, [t]) => tf.abs(t!),
  });
}
