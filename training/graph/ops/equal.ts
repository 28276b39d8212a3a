import { broadcastShape } from "../shape.ts";
import { addOp, type Value } from "../value.ts";
import { withoutGradient } from "../without-gradient.ts";

/** Whether a = b, element by element with broadcasting; NaN equals nothing. No gradient. */
export function equal(a: Value, b: Value): Value {
  return addOp({
    op: "equal",
    inputs: [a, b],
    shape: broadcastShape("equal", a.shape, b.shape),
    dtype: "bool",
    emit: (onnx, { inputs, outputs }) => onnx.node("Equal", inputs, outputs),
    gradient: () => [undefined, undefined],
    tfjs: (tf, [x, y]) => withoutGradient(tf, [x!, y!], () => tf.equal(x!, y!)),
  });
}
