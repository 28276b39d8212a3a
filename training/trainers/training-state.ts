import type { KeptConstants } from "./build-network.ts";
import { decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
import type { RankerNetwork } from "./ranker-network.ts";
import { type Tensors, weightTensors } from "./snapshot.ts";

/**
 * What a later training goes on from: weights, id table with AdaGrad's accumulators, and the constants that all who come
 * after keep. Adam's moments are left out: they follow the gradients of the last few hundred steps and are soon new.
 */
export interface TrainingState {
  readonly kept: KeptConstants;
  readonly tensors: Tensors;
}

const RUN = "training-state-1";
const ACCUMULATOR = "adagrad/id_table";

/** The state of a trained network as bytes, with a checksum. */
export function trainingState(network: RankerNetwork): Uint8Array {
  const { mean, deviation, indicators } = network.statistics;
  const tensors: Tensors = new Map(weightTensors(network));
  if (network.embeddings) tensors.set(ACCUMULATOR, network.embeddings.optimiser.accumulator);
  tensors.set("input/mean", mean).set("input/deviation", deviation);
  const state = { indicators, towers: network.towers };
  return Buffer.concat(encodeCheckpoint({ run: RUN, state, tensors }));
}

/** Undefined when the bytes are damaged or of another format. */
export function readState(bytes: Buffer): TrainingState | undefined {
  const read = decodeCheckpoint(bytes);
  const [mean, deviation] = ["input/mean", "input/deviation"].map((name) =>
    read?.tensors.get(name),
  );
  if (read?.run !== RUN || mean === undefined || deviation === undefined) return undefined;
  const { indicators, towers } = read.state as {
    indicators: readonly number[];
    towers?: readonly number[];
  };
  return {
    kept: { statistics: { mean, deviation, indicators }, ...(towers && { towers }) },
    tensors: read.tensors,
  };
}

/** Puts a state into a network. Returns the names of tensors that the state lacks or has in another size; then nothing was put. */
export function restoreState(network: RankerNetwork, { tensors }: TrainingState): string[] {
  const live = new Map(weightTensors(network));
  if (network.embeddings) live.set(ACCUMULATOR, network.embeddings.optimiser.accumulator);
  const other = [...live].flatMap(([name, data]) =>
    tensors.get(name)?.length === data.length ? [] : [name],
  );
  if (other.length === 0)
    for (const [name, data] of live) data.set(tensors.get(name) as Float32Array);
  return other;
}
