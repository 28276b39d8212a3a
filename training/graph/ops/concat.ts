import { type Dim, normalAxis, sameShape, shapeError } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** Tensors joined along one axis of fixed size. @throws GRAPH_SHAPE when the other axes differ. */
export function concat(parts: readonly Value[], axis: number): Value {
  const first = parts[0];
  if (!first) throw shapeError("concat", "nothing to join");
  const along = normalAxis("concat", first.shape, axis);
  const rest = (value: Value): Dim[] => value.shape.filter((_, i) => i !== along);
  const sizes = parts.map((part) => {
    const dim = part.shape[along];
    if (typeof dim !== "number" || !sameShape(rest(part), rest(first)))
      throw shapeError("concat", "all but the joined axis must agree", first.shape, part.shape);
    return dim;
  });
  if (parts.length === 1) return first;
  const total = sizes.reduce((sum, dim) => sum + dim, 0);
  return addOp({
    op: "concat",
    inputs: parts,
    shape: first.shape.map((dim, i) => (i === along ? total : dim)),
    dtype: first.dtype,
    emit: (onnx, { inputs, outputs }) => onnx.node("Concat", inputs, outputs, { axis: along }),
    gradient: (dy, ops) => ops.split(dy, sizes, along),
    tfjs: (tf, tensors) => tf.concat([...tensors], along),
    flops: () => 0,
  });
}
