/** Settings of Adam. Source of the defaults: Kingma and Ba (2015), algorithm 1. */
export interface AdamOptions {
  /** Decay of the first moment, β₁. */
  readonly beta1: number;
  /** Decay of the second moment, β₂. */
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled weight decay per step, multiplied by the learning rate; 0 = none. Source: Loshchilov and Hutter (2019). */
  readonly weightDecay: number;
}

export const ADAM_DEFAULTS: AdamOptions = {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-7,
  weightDecay: 0,
};

/** First and second moments of one tensor. */
export interface AdamMoments {
  readonly first: Float32Array;
  readonly second: Float32Array;
}

export function adamMoments(size: number): AdamMoments {
  return { first: new Float32Array(size), second: new Float32Array(size) };
}

/**
 * One bias-corrected Adam update of `weights` in place. `step` counts from 1. `decay` overrides the weight decay
 * (biases and norms take 0).
 * Source: Kingma and Ba (2015), algorithm 1; ε is added to √v̂ as there and in TensorFlow.js.
 */
export function adamStep(
  weights: Float32Array,
  gradient: Float32Array,
  moments: AdamMoments,
  step: number,
  learningRate: number,
  options: AdamOptions = ADAM_DEFAULTS,
  decay: number = options.weightDecay,
): void {
  const { beta1, beta2, epsilon } = options;
  const { first, second } = moments;
  const [fresh1, fresh2] = [1 - beta1, 1 - beta2];
  const rate = learningRate / (1 - beta1 ** step);
  const correction2 = 1 / (1 - beta2 ** step);
  const keep = 1 - learningRate * decay;
  const size = weights.length;
  for (let i = 0; i < size; i++) {
    const g = gradient[i] as number;
    const m = beta1 * (first[i] as number) + fresh1 * g;
    const v = beta2 * (second[i] as number) + fresh2 * g * g;
    first[i] = m;
    second[i] = v;
    weights[i] =
      keep * (weights[i] as number) - (rate * m) / (Math.sqrt(v * correction2) + epsilon);
  }
}
