import { addOp, type Value } from "../value.ts";

/** e^x divided by its sum over the last axis. */
export function softmax(x: Value): Value {
  return addOp({
    op: "softmax",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) => onnx.node("Softmax", inputs, outputs, { axis: -1 }),
    gradient: (dy, ops, y) => {
      const weighted = ops.mul(dy, y);
      return [ops.sub(weighted, ops.mul(y, ops.reduceSum(weighted, [-1], true)))];
    },
    tfjs: (tf, [t]) => tf.softmax(t!),
  });
}
