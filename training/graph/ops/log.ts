import { addOp, type Value } from "../value.ts";

/** Natural logarithm; −Infinity at 0, NaN below. */
export function log(x: Value): Value {
  return addOp({
    op: "log",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Log", inputs, outputs),
    gradient: (dy, ops) => [ops.div(dy, x)],
    tfjs: (tf, [t]) => tf.log(t!),
  });
}
