import { broadcastShape } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** a ÷ b with broadcasting; division by 0 gives ±Infinity or NaN. */
export function div(a: Value, b: Value): Value {
  return addOp({
    op: "div",
    inputs: [a, b],
    shape: broadcastShape("div", a.shape, b.shape),
    dtype: a.dtype,
    emit: (onnx, { inputs, outputs }) => onnx.node("Div", inputs, outputs),
    gradient: (dy, ops, y) => {
      const da = ops.div(dy, b);
      return [ops.sumTo(da, a), ops.sumTo(ops.neg(ops.mul(da, y)), b)];
    },
    tfjs: (tf, [x, y]) => tf.div(x!, y!),
  });
}
