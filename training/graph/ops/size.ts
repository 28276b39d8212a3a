import { ONNX_TYPE } from "../onnx-proto.ts";
import { normalAxis } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** How many elements x has along `axes` together, as float32 of shape []. No gradient. */
export function size(x: Value, axes: readonly number[]): Value {
  const counted = axes.map((axis) => normalAxis("size", x.shape, axis));
  return addOp({
    op: "size",
    inputs: [x],
    shape: [],
    emit: (onnx, { inputs: [a], outputs }) => {
      const [dims, some, product] = [onnx.fresh(), onnx.fresh(), onnx.fresh()];
      onnx.node("Shape", [a!], [dims]);
      onnx.node("Gather", [dims, onnx.int64s(counted)], [some]);
      onnx.node("ReduceProd", [some], [product], { keepdims: 0 });
      onnx.node("Cast", [product], outputs, { to: ONNX_TYPE.float32 });
    },
    gradient: () => [undefined],
    tfjs: (tf, [t]) =>
      tf.scalar(counted.reduce((product, axis) => product * (t!.shape[axis] as number), 1)),
    flops: () => 0,
  });
}
