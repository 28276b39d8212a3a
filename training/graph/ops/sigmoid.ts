import { addOp, scalar, type Value } from "../value.ts";

/** 1 / (1 + e^−x). */
export function sigmoid(x: Value): Value {
  return addOp({
    op: "sigmoid",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Sigmoid", inputs, outputs),
    gradient: (dy, ops, y) => [ops.mul(dy, ops.mul(y, ops.sub(scalar(1), y)))],
    tfjs: (tf, [t]) => tf.sigmoid(t!),
  });
}
