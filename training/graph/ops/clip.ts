import { addOp, type Value } from "../value.ts";

/** x limited to low…high; the gradient passes where low ≤ x ≤ high. */
export function clip(x: Value, low: number, high: number): Value {
  return addOp({
    op: "clip",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs: [a], outputs }) => {
      const bound = (value: number): string => onnx.constant(Float32Array.of(value), []);
      onnx.node("Clip", [a!, bound(low), bound(high)], outputs);
    },
    gradient: (dy, ops, y) => [ops.mul(dy, ops.toFloat(ops.equal(x, y)))],
    tfjs: (tf, [t]) => tf.clipByValue(t!, low, high),
  });
}
