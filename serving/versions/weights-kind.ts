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

/** Checksums remembered as kept: few are in use at a time, and what is forgotten costs one read. */
const REMEMBERED = 10_000;

/**
 * Keeps the effective weights of requests, so that the checksum that each is about to log resolves for ever. Overrides are
 * few, and each set of them is written once.
 */
export function weightsKeeper(
  store: VersionStore,
): (effective: EffectiveWeights, nowMs: number) => Promise<void> {
  const kept = new Set<string>();
  return async (effective, nowMs) => {
    const { checksum, name } = effective;
    if (kept.has(checksum)) return;
    if (store.resolve(checksum) === undefined)
      await store.put(WEIGHTS_KIND.kind, weightsText(effective), `effective:${name}`, nowMs);
    if (kept.size >= REMEMBERED) kept.clear();
    kept.add(checksum);
  };
}
