import { addOp, type Value } from "../value.ts";
import { withoutGradient } from "../without-gradient.ts";

/** x, through which no gradient flows. */
export function stopGradient(x: Value): Value {
  return addOp({
    op: "stopGradient",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Identity", inputs, outputs),
    gradient: () => [undefined],
    tfjs: (tf, [t]) => withoutGradient(tf, [t!], () => t!.clone()),
  });
}
