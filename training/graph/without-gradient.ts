import type { Tensor } from "@tensorflow/tfjs";
import type { TensorFlow } from "./value.ts";

/** Runs a twin so that TensorFlow.js' differentiation passes zeros through it (some of its ops have no rule and throw). */
export function withoutGradient(
  tf: TensorFlow,
  inputs: readonly Tensor[],
  run: () => Tensor,
): Tensor {
  const stopped = tf.customGrad((..._operands) => ({
    value: run(),
    gradFunc: () => inputs.map((tensor) => tf.zerosLike(tensor)),
  }));
  return stopped(...inputs);
}
