import { type Dim, elementCount, sameShape, shapeError } from "../shape.ts";
import { addNode, type Value } from "../value.ts";

/** Added to the variance before the root. Source: Ba, Kiros, Hinton (2016), "Layer normalization"; PyTorch's default. */
const EPSILON = 1e-5;

/**
 * (x − mean) / √(variance + 1e-5) over the last axis, times `scale` plus `shift`, both [width].
 * @throws GRAPH_SHAPE when scale or shift do not fit.
 */
export function layerNorm(x: Value, scale: Value, shift: Value): Value {
  const width = x.shape.at(-1) as Dim;
  for (const value of [scale, shift])
    if (!sameShape(value.shape, [width]))
      throw shapeError("layerNorm", "scale and shift must be [width]", x.shape, value.shape);
  const column: Dim[] = [...x.shape.slice(0, -1), 1];
  const outputs = addNode({
    op: "layerNorm",
    inputs: [x, scale, shift],
    // The mean and the inverse deviation are outputs only so that the gradient need not compute them again.
    types: [
      { shape: x.shape, dtype: "float32" },
      { shape: column, dtype: "float32" },
      { shape: column, dtype: "float32" },
    ],
    emit: (onnx, names) => {
      const used = names.outputs[1] || names.outputs[2];
      onnx.node(
        "LayerNormalization",
        names.inputs,
        used ? names.outputs.map((name) => name || onnx.fresh()) : names.outputs.slice(0, 1),
        { axis: -1, epsilon: { float: EPSILON } },
      );
    },
    gradient: ([dy], ops, [, mean, inverseDeviation]) => {
      if (!dy || !mean || !inverseDeviation) return [undefined, undefined, undefined];
      const normal = ops.mul(ops.sub(x, mean), inverseDeviation);
      const dNormal = ops.mul(dy, scale);
      const alongOnes = ops.reduceMean(dNormal, [-1], true);
      const alongNormal = ops.reduceMean(ops.mul(dNormal, normal), [-1], true);
      const projected = ops.sub(ops.sub(dNormal, alongOnes), ops.mul(normal, alongNormal));
      return [
        ops.mul(projected, inverseDeviation),
        ops.sumTo(ops.mul(dy, normal), scale),
        ops.sumTo(dy, shift),
      ];
    },
    tfjs: (tf, [t, g, b]) => {
      const { mean, variance } = tf.moments(t!, -1, true);
      const inverse = tf.rsqrt(tf.add(variance, EPSILON));
      const normal = tf.mul(tf.sub(t!, mean), inverse);
      return [tf.add(tf.mul(normal, g!), b!), mean, inverse];
    },
    flops: (n) => 8 * elementCount(x.shape, n),
  });
  return outputs[0] as Value;
}
