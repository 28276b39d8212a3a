import { examination } from "../../datasets/world/examination.ts";
import {
  type BootstrapOptions,
  bootstrapAll,
  type Interval,
} from "../../experiments/metrics/bootstrap.ts";
import type { PreparedMetric } from "../../experiments/metrics/metric.ts";

/** Positions of a slate that are valued: a long session's worth. */
export const SLATE_POSITIONS = 50;

/** V(slate) = Σ examination(position) · value over the first SLATE_POSITIONS of `order`, which holds rows of `values`. */
export function slateValue(values: Float64Array, order: ArrayLike<number>): number {
  let total = 0;
  const positions = Math.min(SLATE_POSITIONS, order.length);
  for (let slot = 0; slot < positions; slot++)
    total += examination(slot) * (values[order[slot] as number] as number);
  return total;
}

/** Slate values of one request under every ranker. */
export interface RequestValues {
  readonly user: number;
  /** Ranker → V of its slate; has `chronological` and `oracle`. */
  readonly values: ReadonlyMap<string, number>;
}

/**
 * Gain share of each ranker: Σ (V − V_chronological) / Σ (V_oracle − V_chronological) over the same candidates, with an
 * interval from resampling users. 0 = chronological, 1 = oracle.
 * Source: `datasets/world` definition of true value; ratio of sums, so that requests with little to gain do not dominate.
 */
export function gainShares(
  requests: readonly RequestValues[],
  options: BootstrapOptions,
): Map<string, Interval> {
  const shares = new Map<string, Interval>();
  const possible = gainOver(requests, "oracle");
  for (const ranker of requests[0]?.values.keys() ?? [])
    shares.set(
      ranker,
      bootstrapAll(
        [gainOver(requests, ranker), possible],
        ([gain, most]) => (gain as number) / (most as number),
        options,
      ),
    );
  return shares;
}

/** Gain share of `ranker` against that of `ceiling`, under the same resamples. */
export function gainRatio(
  requests: readonly RequestValues[],
  ranker: string,
  ceiling: string,
  options: BootstrapOptions,
): Interval {
  return bootstrapAll(
    [gainOver(requests, ranker), gainOver(requests, ceiling)],
    ([gain, most]) => (gain as number) / (most as number),
    options,
  );
}

/** Sum over requests of a ranker's gain over the chronological order, by user. */
function gainOver(requests: readonly RequestValues[], ranker: string): PreparedMetric {
  const unitCount = requests.reduce((most, { user }) => Math.max(most, user + 1), 0);
  const gains = new Float64Array(unitCount);
  for (const { user, values } of requests)
    gains[user] =
      (gains[user] as number) +
      ((values.get(ranker) as number) - (values.get("chronological") as number));
  return {
    unitCount,
    value: (weights) => gains.reduce((sum, gain, user) => sum + gain * (weights?.[user] ?? 1), 0),
  };
}
