/** Any fixed moment: it cancels. Near the present, so that the growth stays far within a float64. */
const REFERENCE_MS = Date.UTC(2020, 0, 1);

/** Half-life of tastes and of what authors write about: the longest of the counters. */
const HALF_LIFE_MS = 50 * 86_400_000;

/**
 * The weight that something of `timeMs` is added with. Sums of weighted amounts never need decaying: divide by
 * `forwardWeight(now)` for the decayed sum as of now; in ratios it cancels. The order of additions does not matter.
 * Source: Cormode, Shkapenyuk, Srivastava, Xu (2009), "Forward decay", §3.
 */
export function forwardWeight(timeMs: number): number {
  return 2 ** ((timeMs - REFERENCE_MS) / HALF_LIFE_MS);
}
