import { addOp, type Value } from "../value.ts";

/** −x. */
export function neg(x: Value): Value {
  return addOp({
    op: "neg",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Neg", inputs, outputs),
    gradient: (dy, ops) => [ops.neg(dy)],
    tfjs: (tf, [t]) => tf.neg(t!),
  });
}
