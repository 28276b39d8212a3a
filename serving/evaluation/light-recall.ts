import {
  type BootstrapOptions,
  bootstrapAll,
  type Interval,
} from "../../experiments/metrics/bootstrap.ts";
import { topRows } from "../pipeline/top-rows.ts";

/** What the light ranker is there to keep, and how many rows it keeps. */
const BEST = 50;
const KEPT = 500;

/**
 * Share of the heavy ranker's best 50 rows that are among the light ranker's best 500, ties by post id; undefined for as
 * many rows as are kept or fewer, of which none is lost.
 */
export function keptOfBest(
  heavyScores: Float64Array,
  lightScores: Float64Array,
  postIds: readonly string[],
): number | undefined {
  if (postIds.length <= KEPT) return undefined;
  const kept = new Set(topRows(lightScores, postIds, KEPT));
  const best = topRows(heavyScores, postIds, BEST);
  return best.reduce((sum, row) => sum + (kept.has(row) ? 1 : 0), 0) / BEST;
}

/** Mean of the requests' shares, each of another viewer, with an interval from resampling them; null without any. */
export function funnelRecall(
  shares: readonly number[],
  options: BootstrapOptions,
): Interval | null {
  if (shares.length === 0) return null;
  const total = (countOf: (share: number) => number) => ({
    unitCount: shares.length,
    value: (weights?: Float64Array) =>
      shares.reduce((sum, share, unit) => sum + countOf(share) * (weights?.[unit] ?? 1), 0),
  });
  return bootstrapAll(
    [total((share) => share), total(() => 1)],
    ([sum, count]) => (sum as number) / (count as number),
    options,
  );
}
