import {
  type EffectiveWeights,
  parseWeights,
  type Weights,
  weightsText,
} from "../weights/weights.ts";
import type { ConfigKind, VersionStore } from "./version-store.ts";

/** Weights as a versioned configuration, under the checksum that answers and log lines carry. */
export const WEIGHTS_KIND: ConfigKind<Weights> = {
  kind: "weights",
  parse: parseWeights,
  checksum: (weights) => weights.checksum,
};

/**
 * Keeps the effective weights of a request, so that the checksum it is about to log resolves for ever. What is kept
 * already costs one read; overrides are few, and each set of them is written once.
 */
export async function keepEffectiveWeights(
  store: VersionStore,
  effective: EffectiveWeights,
  nowMs: number,
): Promise<void> {
  if (store.resolve(effective.checksum) !== undefined) return;
  await store.put(WEIGHTS_KIND.kind, weightsText(effective), `effective:${effective.name}`, nowMs);
}
