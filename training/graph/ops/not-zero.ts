import { ONNX_TYPE } from "../onnx-proto.ts";
import { addOp, type Value } from "../value.ts";
import { withoutGradient } from "../without-gradient.ts";

/** Whether x ≠ 0, as bool. No gradient. */
export function notZero(x: Value): Value {
  return addOp({
    op: "notZero",
    inputs: [x],
    shape: x.shape,
    dtype: "bool",
    emit: (onnx, { inputs, outputs }) => onnx.node("Cast", inputs, outputs, { to: ONNX_TYPE.bool }),
    gradient: () => [undefined],
    tfjs: (tf, [t]) => withoutGradient(tf, [t!], () => tf.notEqual(t!, 0)),
  });
}
