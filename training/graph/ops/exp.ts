import { addOp, type Value } from "../value.ts";

/** e^x. */
export function exp(x: Value): Value {
  return addOp({
    op: "exp",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Exp", inputs, outputs),
    gradient: (dy, ops, y) => [ops.mul(dy, y)],
    tfjs: (tf, [t]) => tf.exp(t!),
  });
}
