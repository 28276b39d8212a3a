import { HEAVY_FEATURES, LIGHT_FEATURES, PAST_RATE_FEATURES } from "./feature-sets.ts";
import type { RankerKind } from "./trainers/trained-model.ts";

/** The features that a ranker of this kind reads, of those that are usable. */
export function rankerFeatures(kind: RankerKind, usable: readonly string[]): string[] {
  const wanted =
    kind === "heavy" ? HEAVY_FEATURES : kind === "light" ? LIGHT_FEATURES : PAST_RATE_FEATURES;
  const known = new Set(usable);
  return wanted.filter((name) => known.has(name));
}
