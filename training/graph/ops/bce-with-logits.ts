import { sameShape, shapeError } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/**
 * Cross-entropy of labels y in 0–1 under the logit z: ln(1 + e^z) − y·z, element by element, without overflow.
 * @throws GRAPH_SHAPE when shapes differ.
 */
export function bceWithLogits(logits: Value, labels: Value): Value {
  if (!sameShape(logits.shape, labels.shape))
    throw shapeError("bceWithLogits", "shapes must be equal", logits.shape, labels.shape);
  return addOp({
    op: "bceWithLogits",
    inputs: [logits, labels],
    shape: logits.shape,
    emit: (onnx, { inputs: [z, y], outputs }) => {
      const [soft, linear] = [onnx.fresh(), onnx.fresh()];
      onnx.node("Softplus", [z!], [soft]);
      onnx.node("Mul", [z!, y!], [linear]);
      onnx.node("Sub", [soft, linear], outputs);
    },
    gradient: (dy, ops) => [
      ops.mul(dy, ops.sub(ops.sigmoid(logits), labels)),
      ops.neg(ops.mul(dy, logits)),
    ],
    tfjs: (tf, [z, y]) => tf.sub(tf.softplus(z!), tf.mul(z!, y!)),
  });
}
