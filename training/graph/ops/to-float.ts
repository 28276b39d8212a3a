import { ONNX_TYPE } from "../onnx-proto.ts";
import { addOp, type Value } from "../value.ts";

/** bool or int32 as float32 (true = 1). No gradient. */
export function toFloat(x: Value): Value {
  return addOp({
    op: "toFloat",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) =>
      onnx.node("Cast", inputs, outputs, { to: ONNX_TYPE.float32 }),
    gradient: () => [undefined],
    tfjs: (tf, [t]) => tf.cast(t!, "float32"),
  });
}
