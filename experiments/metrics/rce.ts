import { RoostError } from "../../errors.ts";
import { binaryEntropy, prepareLoss } from "./log-loss.ts";
import type { Metric } from "./metric.ts";
import type { ScoredRows } from "./scored-rows.ts";

/**
 * Relative cross entropy in percent: how much of the log loss of a constant prediction the scores save. 100 = perfect,
 * 0 = the constant, negative = worse. The constant is `baseRate` (0–1 exclusive), the labels' own rate when absent: then
 * RCE = 100 · (1 − normalised entropy). NaN with one class and no `baseRate`.
 * @throws COLUMN_LENGTH; BAD_METRIC_INPUT also for a score outside 0–1 or a `baseRate` outside (0, 1)
 * Source: Belli et al. (2020), "Privacy-Aware Recommender Systems Challenge on Twitter's Home Timeline", section 5.
 */
export function rce(rows: ScoredRows, baseRate?: number): number {
  return rceMetric(baseRate).prepare(rows).value();
}

export function rceMetric(baseRate?: number): Metric {
  if (baseRate !== undefined && !(baseRate > 0 && baseRate < 1)) {
    throw new RoostError("BAD_METRIC_INPUT", `baseRate is ${baseRate}, must lie between 0 and 1`);
  }
  return {
    name: "rce",
    better: "higher",
    prepare: (rows) =>
      prepareLoss(rows, ({ loss, positive, weight }) => {
        const constantLoss =
          baseRate === undefined
            ? weight * binaryEntropy(positive / weight)
            : -(positive * Math.log(baseRate) + (weight - positive) * Math.log1p(-baseRate));
        return constantLoss > 0 ? 100 * (1 - loss / constantLoss) : Number.NaN;
      }),
  };
}
