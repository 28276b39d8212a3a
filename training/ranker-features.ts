import {
  heavyFeatures,
  LIGHT_FEATURES,
  PAST_RATE_FEATURES,
  type ViewerRates,
} from "./feature-sets.ts";
import type { RankerKind } from "./trainers/trained-model.ts";

/**
 * The features that a ranker of this kind reads, of those that are usable.
 * @param rates how the heavy ranker reads a viewer's own rates
 */
export function rankerFeatures(
  kind: RankerKind,
  usable: readonly string[],
  rates: ViewerRates,
): string[] {
  const wanted =
    kind === "heavy"
      ? heavyFeatures(rates)
      : kind === "light"
        ? LIGHT_FEATURES
        : PAST_RATE_FEATURES;
  const known = new Set(usable);
  return wanted.filter((name) => known.has(name));
}
