import { normalAxis, shapeError } from "../shape.ts";
import { addNode, scalar, type Value } from "../value.ts";

/** x cut along one axis into pieces of the given sizes. @throws GRAPH_SHAPE when they do not add up. */
export function split(x: Value, sizes: readonly number[], axis: number): readonly Value[] {
  const along = normalAxis("split", x.shape, axis);
  if (sizes.reduce((sum, size) => sum + size, 0) !== x.shape[along])
    throw shapeError("split", `sizes [${sizes}] do not add up along axis ${along}`, x.shape);
  if (sizes.length === 1) return [x];
  return addNode({
    op: "split",
    inputs: [x],
    types: sizes.map((size) => ({
      shape: x.shape.map((dim, i) => (i === along ? size : dim)),
      dtype: x.dtype,
    })),
    emit: (onnx, { inputs: [a], outputs }) => {
      // ONNX refuses a nameless output of Split, so pieces that nothing reads get a name too.
      const named = outputs.map((name) => name || onnx.fresh());
      onnx.node("Split", [a!, onnx.int64s(sizes)], named, { axis: along });
    },
    gradient: (gradients, ops, pieces) => [
      ops.concat(
        pieces.map((piece, i) => gradients[i] ?? ops.expandLike(scalar(0), piece)),
        along,
      ),
    ],
    tfjs: (tf, [t]) => tf.split(t!, [...sizes], along),
    flops: () => 0,
  });
}
