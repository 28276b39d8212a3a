import { addOp, type Value } from "../value.ts";

/** −1, 0 or 1 by the sign of x. Its gradient is taken as 0. */
export function sign(x: Value): Value {
  return addOp({
    op: "sign",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Sign", inputs, outputs),
    gradient: () => [undefined],
    tfjs: (tf, [t]) => tf.sign(t!),
  });
}
