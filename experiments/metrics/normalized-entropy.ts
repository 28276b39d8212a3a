import { binaryEntropy, logLossMetric, prepareLoss } from "./log-loss.ts";
import type { Metric } from "./metric.ts";
import type { ScoredRows } from "./scored-rows.ts";

/**
 * Log loss divided by the entropy of the base rate: 1 = no better than always predicting the base rate, 0 = perfect.
 * NaN with one class.
 * @throws COLUMN_LENGTH; BAD_METRIC_INPUT also for a score outside 0–1
 * Source: He et al. (2014), "Practical Lessons from Predicting Clicks on Ads at Facebook", equation 1.
 */
export function normalizedEntropy(rows: ScoredRows): number {
  return normalizedEntropyMetric.prepare(rows).value();
}

export const normalizedEntropyMetric: Metric = {
  name: "normalized_entropy",
  better: logLossMetric.better,
  prepare: (rows) =>
    prepareLoss(rows, ({ loss, positive, weight }) => {
      const entropy = binaryEntropy(positive / weight);
      return entropy > 0 ? loss / weight / entropy : Number.NaN;
    }),
};
