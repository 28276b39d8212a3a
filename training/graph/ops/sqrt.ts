import { addOp, scalar, type Value } from "../value.ts";

/** Square root; NaN below 0, infinite gradient at 0. */
export function sqrt(x: Value): Value {
  return addOp({
    op: "sqrt",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Sqrt", inputs, outputs),
    gradient: (dy, ops, y) => [ops.div(ops.mul(dy, scalar(0.5)), y)],
    tfjs: (tf, [t]) => tf.sqrt(t!),
  });
}
