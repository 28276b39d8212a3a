import { broadcastShape, sameShape, shapeError } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** x stretched to the shape of `like`, whose values are not read. @throws GRAPH_SHAPE when it does not broadcast to it. */
export function expandLike(x: Value, like: Value): Value {
  if (sameShape(x.shape, like.shape)) return x;
  if (!sameShape(broadcastShape("expandLike", x.shape, like.shape), like.shape))
    throw shapeError("expandLike", "the first does not stretch to the second", x.shape, like.shape);
  return addOp({
    op: "expandLike",
    inputs: [x, like],
    shape: like.shape,
    dtype: x.dtype,
    emit: (onnx, { inputs: [a, b], outputs }) => {
      const dims = onnx.fresh();
      onnx.node("Shape", [b!], [dims]);
      onnx.node("Expand", [a!, dims], outputs);
    },
    gradient: (dy, ops) => [ops.sumTo(dy, x), undefined],
    tfjs: (tf, [t, l]) => tf.broadcastTo(t!, l!.shape),
    flops: () => 0,
  });
}
