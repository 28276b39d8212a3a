import { ops } from "../graph/ops.ts";
import type { Value } from "../graph/value.ts";
import { filled, type ParameterSet } from "./parameter-set.ts";

/** Multi-head logistic regression: x [n, d] → logits [n, heads]. Weights start at 0, biases at the given logits. */
export function logistic(x: Value, biases: Float32Array, parameters: ParameterSet): Value {
  const weights = parameters.add("weights", [x.shape[1] as number, biases.length], filled(0));
  const bias = parameters.add("bias", [biases.length], (data) => data.set(biases));
  return ops.add(ops.matmul(x, weights), bias);
}
