import type { Fed } from "../graph/run-tfjs.ts";
import type { Value } from "../graph/value.ts";

export type Feeds = Readonly<Record<string, Fed>>;

export interface StepResult {
  readonly loss: number;
  /** In the order of `wrt`. */
  readonly gradients: readonly Float32Array[];
}

/** Computes a loss and its gradients for one minibatch. Parameters are fed like inputs, by name. */
export interface TrainingStep {
  run(feeds: Feeds): Promise<StepResult>;
  release(): Promise<void>;
}

/** Computes values only. */
export interface ForwardPass {
  run(feeds: Feeds): Promise<readonly Float32Array[]>;
  release(): Promise<void>;
}

/** Where graphs run while training. */
export interface Engine {
  readonly name: "onnx" | "tfjs";
  trainingStep(loss: Value, wrt: readonly Value[]): Promise<TrainingStep>;
  forward(outputs: readonly Value[]): Promise<ForwardPass>;
}
