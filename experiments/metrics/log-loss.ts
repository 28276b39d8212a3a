import type { Metric, PreparedMetric } from "./metric.ts";
import { observedRows, type ScoredRows } from "./scored-rows.ts";

/**
 * Probabilities are moved into [ε, 1 − ε]: a Float32 sigmoid saturates at exactly 0 or 1, and one such row must cost much
 * (34.5 nats), not everything.
 */
const EPSILON = 1e-15;

/**
 * Mean negative log-likelihood of the labels in nats, 0 is perfect. NaN without rows.
 * @throws COLUMN_LENGTH; BAD_METRIC_INPUT also for a score outside 0–1
 */
export function logLoss(rows: ScoredRows): number {
  return logLossMetric.prepare(rows).value();
}

export const logLossMetric: Metric = {
  name: "log_loss",
  better: "lower",
  prepare: (rows) => prepareLoss(rows, ({ loss, weight }) => loss / weight),
};

/** Sums over rows: `loss` in nats, `positive` and `weight` as weights of the positive and of all rows. */
export interface LossSums {
  readonly loss: number;
  readonly positive: number;
  readonly weight: number;
}

/** A metric that is a function of the three sums; NaN when the rows weigh nothing. */
export function prepareLoss(rows: ScoredRows, finish: (sums: LossSums) => number): PreparedMetric {
  const { n, scores, labels, weights, units, unitCount } = observedRows(rows, {
    scores: "probability",
    labels: "binary",
  });
  const losses = new Float64Array(unitCount);
  const positives = new Float64Array(unitCount);
  const totals = new Float64Array(unitCount);
  for (let row = 0; row < n; row++) {
    const unit = units[row] as number;
    const weight = weights?.[row] ?? 1;
    const p = Math.min(1 - EPSILON, Math.max(EPSILON, scores[row] as number));
    const happened = labels[row] === 1;
    const loss = happened ? -Math.log(p) : -Math.log1p(-p);
    losses[unit] = (losses[unit] as number) + weight * loss;
    totals[unit] = (totals[unit] as number) + weight;
    if (happened) positives[unit] = (positives[unit] as number) + weight;
  }
  const value = (unitWeights?: Float64Array): number => {
    let [loss, positive, weight] = [0, 0, 0];
    for (let unit = 0; unit < unitCount; unit++) {
      const times = unitWeights === undefined ? 1 : (unitWeights[unit] as number);
      loss += times * (losses[unit] as number);
      positive += times * (positives[unit] as number);
      weight += times * (totals[unit] as number);
    }
    return weight > 0 ? finish({ loss, positive, weight }) : Number.NaN;
  };
  return { unitCount, value };
}

/** Entropy of a coin with this rate, in nats; 0 at 0 and 1. */
export function binaryEntropy(rate: number): number {
  if (rate <= 0 || rate >= 1) return 0;
  return -(rate * Math.log(rate) + (1 - rate) * Math.log1p(-rate));
}
