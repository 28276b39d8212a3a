import type { Metric } from "./metric.ts";
import { POSITIVE, rankRows, TIE_END } from "./ranked-rows.ts";
import { observedRows, type ScoredRows } from "./scored-rows.ts";

/**
 * Average precision: Σ (recallₜ − recallₜ₋₁) · precisionₜ over the distinct scores t, highest first; equal scores enter
 * together, so their order cannot matter. NaN without positives.
 * @throws COLUMN_LENGTH, BAD_METRIC_INPUT
 * Source: the step-wise definition without interpolation of scikit-learn's `average_precision_score`.
 */
export function prAuc(rows: ScoredRows): number {
  return prAucMetric.prepare(rows).value();
}

export const prAucMetric: Metric = {
  name: "pr_auc",
  better: "higher",
  prepare(rows) {
    const observed = observedRows(rows, { scores: "real", labels: "binary" });
    const { n, marks, units, weights } = rankRows(observed);
    const value = (unitWeights?: Float64Array): number => {
      let [sum, positives, total, tiedPositives] = [0, 0, 0, 0];
      for (let i = 0; i < n; i++) {
        const mark = marks[i] as number;
        let weight = unitWeights === undefined ? 1 : (unitWeights[units[i] as number] as number);
        if (weights !== undefined) weight *= weights[i] as number;
        total += weight;
        if ((mark & POSITIVE) !== 0) tiedPositives += weight;
        if ((mark & TIE_END) !== 0 && tiedPositives > 0) {
          positives += tiedPositives;
          sum += tiedPositives * (positives / total);
          tiedPositives = 0;
        }
      }
      return positives > 0 ? sum / positives : Number.NaN;
    };
    return { unitCount: observed.unitCount, value };
  },
};
