import {
  type BootstrapOptions,
  bootstrapAll,
  type Interval,
} from "../../experiments/metrics/bootstrap.ts";
import { ndcgOfOrder } from "../../experiments/metrics/ndcg.ts";

/** Depths that are reported: a first screen or two, and the slate whose value gain shares count. */
export const NDCG_DEPTHS = [10, 50] as const;

/** NDCG of one request under every ranker, aligned with NDCG_DEPTHS; NaN where no candidate has value. */
export interface RequestNdcg {
  readonly user: number;
  readonly ndcg: ReadonlyMap<string, readonly number[]>;
}

/**
 * NDCG at every depth of `order`, rows of `values`, with linear gain. NDCG has no meaning below 0, so a post of negative
 * value has gain 0: unlike a gain share it does not see how much harm a bad post does.
 */
export function slateNdcg(values: Float64Array, order: ArrayLike<number>): number[] {
  const gains = values.map((value) => Math.max(0, value));
  return NDCG_DEPTHS.map((k) => ndcgOfOrder(gains, order, k));
}

/** Ranker → mean NDCG over requests that have one, at every depth, with an interval from resampling users. */
export function ndcgIntervals(
  requests: readonly RequestNdcg[],
  options: BootstrapOptions,
): Map<string, Interval[]> {
  const intervals = new Map<string, Interval[]>();
  for (const ranker of requests[0]?.ndcg.keys() ?? [])
    intervals.set(
      ranker,
      NDCG_DEPTHS.map((_, depth) => meanOver(requests, ranker, depth, options)),
    );
  return intervals;
}

function meanOver(
  requests: readonly RequestNdcg[],
  ranker: string,
  depth: number,
  options: BootstrapOptions,
): Interval {
  const unitCount = requests.reduce((most, { user }) => Math.max(most, user + 1), 0);
  const sums = new Float64Array(unitCount);
  const counts = new Float64Array(unitCount);
  for (const { user, ndcg } of requests) {
    const value = ndcg.get(ranker)?.[depth] as number;
    if (Number.isNaN(value)) continue;
    sums[user] = (sums[user] as number) + value;
    counts[user] = (counts[user] as number) + 1;
  }
  const total = (of: Float64Array) => ({
    unitCount,
    value: (weights?: Float64Array) =>
      of.reduce((sum, value, user) => sum + value * (weights?.[user] ?? 1), 0),
  });
  return bootstrapAll(
    [total(sums), total(counts)],
    ([sum, count]) => ((count as number) > 0 ? (sum as number) / (count as number) : Number.NaN),
    options,
  );
}
