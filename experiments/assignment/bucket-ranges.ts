import { fnv1a32 } from "./hash.ts";

/** Half-open range of buckets: start ≤ n < end. */
export type BucketRange = readonly [start: number, end: number];

export function inRange(n: number, [start, end]: BucketRange): boolean {
  return n >= start && n < end;
}

/** Index of the first range that holds bucket `n`, −1 when none does. */
export function chooseVariation(n: number, ranges: readonly BucketRange[]): number {
  for (let i = 0; i < ranges.length; i++) if (inRange(n, ranges[i] as BucketRange)) return i;
  return -1;
}

/** `count` weights of 1 / count; none when count < 1. */
export function equalWeights(count: number): number[] {
  return count < 1 ? [] : new Array<number>(count).fill(1 / count);
}

/**
 * One range per variation: it starts where the variation's full share starts and holds `coverage` (clamped to 0–1) of it.
 * The start does not depend on coverage, so ramping up adds units and moves none. Weights that do not fit the variations
 * or do not sum to 0.99–1.01 are replaced by equal ones.
 * Source: GrowthBook SDK specification, "getBucketRanges".
 */
export function bucketRanges(
  count: number,
  coverage = 1,
  weights?: readonly number[] | null,
): BucketRange[] {
  const share = Math.min(1, Math.max(0, coverage));
  const sum = weights?.reduce((total, weight) => total + weight, 0) ?? Number.NaN;
  const fits = weights?.length === count && sum >= 0.99 && sum <= 1.01;
  let cumulative = 0;
  return (fits ? weights : equalWeights(count)).map((weight) => {
    const start = cumulative;
    cumulative += weight;
    return [start, start + share * weight];
  });
}

/** GrowthBook's old way to exclude experiments mutually: the unit's v1 bucket in the namespace lies in [start, end). */
export type Namespace = readonly [id: string, start: number, end: number];

/** Deprecated where it comes from, because v1 buckets of different namespaces are correlated; read, never written. */
export function inNamespace(value: string, [id, start, end]: Namespace): boolean {
  return inRange((fnv1a32(`${value}__${id}`) % 1000) / 1000, [start, end]);
}
