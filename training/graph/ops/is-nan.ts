import { addOp, type Value } from "../value.ts";
import { withoutGradient } from "../without-gradient.ts";

/** Whether x is NaN, as bool. No gradient. */
export function isNan(x: Value): Value {
  return addOp({
    op: "isNan",
    inputs: [x],
    shape: x.shape,
    dtype: "bool",
    emit: (onnx, { inputs, outputs }) => onnx.node("IsNaN", inputs, outputs),
    gradient: () => [undefined],
    tfjs: (tf, [t]) => withoutGradient(tf, [t!], () => tf.isNaN(t!)),
  });
}
