/** Bins of a reference distribution, missing values apart. */
export interface ReferenceBins {
  /** Upper edges, ascending and inclusive; what is above the last falls into a bin of its own. */
  readonly edges: Float64Array;
  /** Share of the reference in each bin [edges.length + 2]: up to each edge, above the last, missing. Sums to 1. */
  readonly shares: Float64Array;
}

/** Empty bins count as this share, so that the logarithm stays finite: a value that is new adds about its share times 9. */
const LEAST_SHARE = 1e-4;

/** Above the first a change is worth a look, above the second it is large. Source: Siddiqi (2006), "Credit Risk Scorecards", p. 136. */
export const PSI_MODERATE = 0.1;
export const PSI_LARGE = 0.25;

/**
 * Equal-count bins of the finite values of `reference`. Equal values are never split; a value that holds at least
 * 1/binCount of them has a bin of its own, so that counters that are mostly 0 keep their shape.
 * NaN and infinite values are missing.
 */
export function referenceBins(reference: ArrayLike<number>, binCount = 10): ReferenceBins {
  const values = finiteSorted(reference);
  const n = values.length;
  const edges: number[] = [];
  const close = (edge: number | undefined): void => {
    if (edge !== undefined && edge !== edges.at(-1)) edges.push(edge);
  };
  let quantile = 1;
  for (let from = 0; from < n; ) {
    const value = values[from] as number;
    let to = from + 1;
    while (to < n && values[to] === value) to++;
    const heavy = (to - from) * binCount >= n;
    if (heavy) close(values[from - 1]);
    if (heavy || to * binCount >= quantile * n) close(value);
    while (to * binCount >= quantile * n && quantile <= binCount) quantile++;
    from = to;
  }
  return { edges: Float64Array.from(edges), shares: shares(reference, Float64Array.from(edges)) };
}

/**
 * Population stability index Σ (aᵢ − eᵢ)·ln(aᵢ/eᵢ) of the shares of `actual` against those of the reference, in the
 * reference's bins, missing values as one bin more. 0 = equal; NaN when either is empty.
 * Source: Siddiqi (2006), "Credit Risk Scorecards", p. 136; it is Kullback and Leibler's (1951) symmetric divergence J.
 * Deviation: shares are at least 1e-4.
 */
export function populationStability(bins: ReferenceBins, actual: ArrayLike<number>): number {
  const now = shares(actual, bins.edges);
  let sum = 0;
  for (let i = 0; i < now.length; i++) {
    const [before, after] = [bins.shares[i] as number, now[i] as number];
    if (Number.isNaN(before) || Number.isNaN(after)) return Number.NaN;
    // Empty on both sides is no change, and no bin either.
    if (before === 0 && after === 0) continue;
    const [e, a] = [Math.max(before, LEAST_SHARE), Math.max(after, LEAST_SHARE)];
    sum += (a - e) * Math.log(a / e);
  }
  return sum;
}

function finiteSorted(values: ArrayLike<number>): Float64Array {
  return Float64Array.from(values).filter(Number.isFinite).sort();
}

/** Share of the values in each bin; NaN throughout when there are none. */
function shares(values: ArrayLike<number>, edges: Float64Array): Float64Array {
  const counts = new Float64Array(edges.length + 2);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    counts[Number.isFinite(value) ? binOf(edges, value) : edges.length + 1]! += 1;
  }
  return counts.map((count) => count / values.length);
}

/** The first edge that is not below the value; edges.length above all. */
function binOf(edges: Float64Array, value: number): number {
  let [low, high] = [0, edges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((edges[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
