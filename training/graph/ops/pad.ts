import { normalAxis, shapeError } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** Zeros put before and after x along one fixed axis. */
export function pad(x: Value, axis: number, before: number, after: number): Value {
  const along = normalAxis("pad", x.shape, axis);
  const whole = x.shape[along];
  if (typeof whole !== "number" || before < 0 || after < 0)
    throw shapeError("pad", `cannot pad axis ${along} by ${before} and ${after}`, x.shape);
  return addOp({
    op: "pad",
    inputs: [x],
    shape: x.shape.map((dim, i) => (i === along ? whole + before + after : dim)),
    emit: (onnx, { inputs: [a], outputs }) =>
      onnx.node(
        "Pad",
        [
          a!,
          onnx.int64s([before, after]),
          onnx.constant(Float32Array.of(0), []),
          onnx.int64s([along]),
        ],
        outputs,
      ),
    gradient: (dy, ops) => [ops.slice(dy, along, before, whole)],
    tfjs: (tf, [t]) =>
      tf.pad(
        t!,
        t!.shape.map((_, i): [number, number] => (i === along ? [before, after] : [0, 0])),
      ),
    flops: () => 0,
  });
}
