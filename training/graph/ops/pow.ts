import { addOp, scalar, type Value } from "../value.ts";

/** x to a constant power; NaN for a negative x and a fractional exponent. */
export function pow(x: Value, exponent: number): Value {
  return addOp({
    op: "pow",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs: [a], outputs }) =>
      onnx.node("Pow", [a!, onnx.constant(Float32Array.of(exponent), [])], outputs),
    gradient: (dy, ops) => [ops.mul(dy, ops.mul(ops.pow(x, exponent - 1), scalar(exponent)))],
    tfjs: (tf, [t]) => tf.pow(t!, exponent),
  });
}
