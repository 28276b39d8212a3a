import type { AdamMoments } from "../optimisers/adam.ts";
import type { RankerNetwork } from "./ranker-network.ts";

/** Everything that training changes, by name: what a checkpoint stores and what the best weights are kept in. */
export type Tensors = Map<string, Float32Array>;

/** The live tensors of a network (not copies): weights and the id table. */
export function weightTensors(network: RankerNetwork): Tensors {
  const tensors: Tensors = new Map();
  for (const [name, data] of network.parameters.weights) tensors.set(name, data);
  if (network.embeddings) tensors.set("id_table", network.embeddings.optimiser.table);
  return tensors;
}

/** The live tensors of its optimisers. */
export function optimiserTensors(
  network: RankerNetwork,
  moments: ReadonlyMap<string, AdamMoments>,
): Tensors {
  const tensors: Tensors = new Map();
  for (const [name, { first, second }] of moments) {
    tensors.set(`adam_first/${name}`, first);
    tensors.set(`adam_second/${name}`, second);
  }
  if (network.embeddings) tensors.set("adagrad/id_table", network.embeddings.optimiser.accumulator);
  return tensors;
}

export function copyTensors(tensors: Tensors): Tensors {
  return new Map([...tensors].map(([name, data]) => [name, data.slice()]));
}

/** Overwrites live tensors with a snapshot of the same names and sizes. */
export function restoreTensors(live: Tensors, snapshot: Tensors): void {
  for (const [name, data] of live) data.set(snapshot.get(name) as Float32Array);
}
