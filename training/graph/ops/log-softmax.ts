import { addOp, type Value } from "../value.ts";

/** x − ln Σ e^x over the last axis, without overflow. */
export function logSoftmax(x: Value): Value {
  return addOp({
    op: "logSoftmax",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("LogSoftmax", inputs, outputs, { axis: -1 }),
    gradient: (dy, ops, y) => [ops.sub(dy, ops.mul(ops.exp(y), ops.reduceSum(dy, [-1], true)))],
    tfjs: (tf, [t]) => tf.logSoftmax(t!),
  });
}
