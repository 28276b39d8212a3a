import { ONNX_TYPE } from "../onnx-proto.ts";
import { shapeError } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** The identity matrix of x's shape [m, m], whose values are not read. No gradient. @throws GRAPH_SHAPE unless square. */
export function eyeLike(x: Value): Value {
  if (x.shape.length !== 2 || x.shape[0] !== x.shape[1])
    throw shapeError("eyeLike", "must be square", x.shape);
  return addOp({
    op: "eyeLike",
    inputs: [x],
    shape: x.shape,
    emit: (onnx, { inputs, outputs }) =>
      onnx.node("EyeLike", inputs, outputs, { dtype: ONNX_TYPE.float32 }),
    gradient: () => [undefined],
    tfjs: (tf, [t]) => tf.eye(t!.shape[0] as number),
    flops: () => 0,
  });
}
