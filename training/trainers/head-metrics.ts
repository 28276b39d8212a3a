import { aucMetric } from "../../experiments/metrics/auc.ts";
import { bootstrap, type Interval } from "../../experiments/metrics/bootstrap.ts";
import type { Metric } from "../../experiments/metrics/metric.ts";
import { normalizedEntropyMetric } from "../../experiments/metrics/normalized-entropy.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { AMOUNT_CAP } from "../models/multi-head-loss.ts";
import type { HeadStatistics } from "./head-statistics.ts";

/** head → metric → value with its 95 % interval. */
export type HeadMetrics = Record<string, Record<string, Interval>>;

export interface HeadMetricsOptions {
  readonly seed: number;
  /** Bootstrap resamples of users. */
  readonly rounds: number;
}

/**
 * AUC and normalised entropy of each binary head, and for continuous ones the ratio of predicted to observed totals
 * (`calibration_ratio`), with intervals over resampled users. `predictions` [n, heads] are calibrated. A metric that is
 * undefined (one class only) or whose interval is (too few users with positives) is left out.
 */
export function headMetrics(
  predictions: Float32Array,
  rows: TrainingRows,
  heads: readonly HeadStatistics[],
  { seed, rounds }: HeadMetricsOptions,
): HeadMetrics {
  const out: HeadMetrics = {};
  heads.forEach((head, h) => {
    if (head.positives === 0) return;
    const scores = new Float32Array(rows.n);
    const labels = new Float32Array(rows.n);
    for (let row = 0; row < rows.n; row++) {
      const label = rows.labels[row * heads.length + h] as number;
      scores[row] = predictions[row * heads.length + h] as number;
      labels[row] = head.kind === "continuous" ? Math.min(label, AMOUNT_CAP) : label;
    }
    const metrics: readonly Metric[] =
      head.kind === "continuous" ? [calibrationRatio] : [aucMetric, normalizedEntropyMetric];
    const found: Record<string, Interval> = {};
    for (const metric of metrics) {
      const interval = bootstrap(
        metric,
        { scores, labels, weights: rows.weight, units: rows.user },
        { seed, rounds },
      );
      if (Object.values(interval).every(Number.isFinite)) found[metric.name] = interval;
    }
    if (Object.keys(found).length > 0) out[head.name] = found;
  });
  return out;
}

/** Σ predicted ÷ Σ observed. */
const calibrationRatio: Metric = {
  name: "calibration_ratio",
  better: "lower",
  prepare: ({ scores, labels, weights, units }) => {
    let unitCount = 0;
    for (let row = 0; row < labels.length; row++)
      unitCount = Math.max(unitCount, (units?.[row] ?? row) + 1);
    const predicted = new Float64Array(unitCount);
    const observed = new Float64Array(unitCount);
    for (let row = 0; row < labels.length; row++) {
      const label = labels[row] as number;
      if (Number.isNaN(label)) continue;
      const unit = units?.[row] ?? row;
      const weight = weights?.[row] ?? 1;
      predicted[unit]! += weight * (scores[row] as number);
      observed[unit]! += weight * label;
    }
    const total = (sums: Float64Array, unitWeights?: Float64Array): number =>
      sums.reduce((sum, value, unit) => sum + value * (unitWeights?.[unit] ?? 1), 0);
    return {
      unitCount,
      value: (unitWeights) => total(predicted, unitWeights) / total(observed, unitWeights),
    };
  },
};
