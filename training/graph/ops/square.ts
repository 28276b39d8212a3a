import { addOp, scalar, type Value } from "../value.ts";

/** x². */
export function square(x: Value): Value {
  return addOp({
    op: "square",
    inputs: [x],
    shape: x.shape,
    // A product is several times faster than ONNX Pow with exponent 2.
    emit: (onnx, { inputs: [a], outputs }) => onnx.node("Mul", [a!, a!], outputs),
    gradient: (dy, ops) => [ops.mul(dy, ops.mul(x, scalar(2)))],
    tfjs: (tf, [t]) => tf.square(t!),
  });
}
