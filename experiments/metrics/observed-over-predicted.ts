import type { Metric } from "./metric.ts";
import { observedRows } from "./scored-rows.ts";

/**
 * Σ labels ÷ Σ predicted probabilities: 1 = calibrated as a whole, above 1 = predicts too little. NaN without predictions
 * above 0. Neither direction is better; comparisons of it are of distances from 1.
 * @throws COLUMN_LENGTH; BAD_METRIC_INPUT also for a score outside 0–1
 * Source: inverse of the calibration of He et al. (2014), "Practical Lessons from Predicting Clicks on Ads at Facebook", section 2.2.
 */
export const observedOverPredicted: Metric = {
  name: "observed_over_predicted",
  better: "higher",
  prepare: (rows) => {
    const { n, scores, labels, weights, units, unitCount } = observedRows(rows, {
      scores: "probability",
      labels: "binary",
    });
    const observed = new Float64Array(unitCount);
    const predicted = new Float64Array(unitCount);
    for (let row = 0; row < n; row++) {
      const unit = units[row] as number;
      const weight = weights?.[row] ?? 1;
      observed[unit]! += weight * (labels[row] as number);
      predicted[unit]! += weight * (scores[row] as number);
    }
    return {
      unitCount,
      value: (unitWeights) => {
        let [seen, said] = [0, 0];
        for (let unit = 0; unit < unitCount; unit++) {
          const times = unitWeights?.[unit] ?? 1;
          seen += times * (observed[unit] as number);
          said += times * (predicted[unit] as number);
        }
        return said > 0 ? seen / said : Number.NaN;
      },
    };
  },
};
