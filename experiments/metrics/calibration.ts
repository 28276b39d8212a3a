import { RoostError } from "../../errors.ts";
import { descendingOrder } from "./score-order.ts";
import { type ObservedRows, observedRows, type ScoredRows } from "./scored-rows.ts";
import { wilsonInterval } from "./wilson.ts";

/** Predictions against outcomes over some rows. */
export interface CalibrationBin {
  readonly n: number;
  /** Mean predicted probability. */
  readonly predicted: number;
  /** Share of positives. */
  readonly observed: number;
  /** 95 % Wilson interval of the true rate behind `observed`, of the effective sample: see `calibration`. */
  readonly observedLow: number;
  readonly observedHigh: number;
  /** predicted ÷ observed: above 1 = over-predicts. NaN without positives. */
  readonly ratio: number;
  /** The ratio at the ends of the interval of `observed`; `ratioHigh` is infinite when that reaches 0. */
  readonly ratioLow: number;
  readonly ratioHigh: number;
}

export interface Calibration {
  /** Bins from the lowest to the highest prediction. */
  readonly bins: readonly CalibrationBin[];
  /** All rows as one bin. */
  readonly overall: CalibrationBin;
}

/**
 * Calibration table of `binCount` equal-count bins by predicted probability. A run of equal predictions is never split: a
 * bin reaches to its end, so heavy ties give fewer, uneven bins. Without rows: no bins, and an overall bin of NaN.
 * Rows of one unit (a user) err together, so an interval counts n ÷ design effect rows: the variance of a bin's misfit
 * summed by unit, over the binomial one, at least 1. Without `groups` or `units` every row stands for itself.
 * Row weights are refused, because the intervals count rows.
 * @throws COLUMN_LENGTH; BAD_METRIC_INPUT also for a score outside 0–1, weights, or a bin count that is no positive integer
 * Source: ratio as in He et al. (2014), "Practical Lessons from Predicting Clicks on Ads at Facebook", section 2.2;
 * effective sample: Rao, Scott (1992), "A simple method for the analysis of clustered binary data", section 2.
 */
export function calibration(rows: ScoredRows, binCount = 10): Calibration {
  if (!Number.isInteger(binCount) || binCount < 1) {
    throw new RoostError("BAD_METRIC_INPUT", `binCount is ${binCount}, must be an integer ≥ 1`);
  }
  if (rows.weights !== undefined) {
    throw new RoostError("BAD_METRIC_INPUT", "weights are given; calibration counts rows");
  }
  const observed = observedRows(rows, { scores: "probability", labels: "binary" });
  const { n, scores } = observed;
  const order = descendingOrder(scores).reverse();

  const bins: CalibrationBin[] = [];
  let from = 0;
  for (let bin = 1; bin <= binCount && from < n; bin++) {
    let to = Math.round((bin * n) / binCount);
    if (to <= from) continue;
    while (to < n && scores[order[to] as number] === scores[order[to - 1] as number]) to++;
    bins.push(summarise(order.subarray(from, to), observed));
    from = to;
  }
  return { bins, overall: summarise(order, observed) };
}

function summarise(
  rows: Uint32Array,
  { scores, labels, units, unitCount }: ObservedRows,
): CalibrationBin {
  const n = rows.length;
  let [predictedSum, positives] = [0, 0];
  for (const row of rows) {
    predictedSum += scores[row] as number;
    positives += labels[row] as number;
  }
  const predicted = predictedSum / n;
  const observed = positives / n;
  // What is left when every prediction is moved by the bin's ratio.
  const moved = predictedSum > 0 ? positives / predictedSum : 0;
  const misfit = new Float64Array(unitCount);
  for (const row of rows) {
    const unit = units[row] as number;
    misfit[unit] =
      (misfit[unit] as number) + (labels[row] as number) - moved * (scores[row] as number);
  }
  const squares = misfit.reduce((sum, x) => sum + x * x, 0);
  const binomial = n * observed * (1 - observed);
  const designEffect = binomial > 0 ? Math.max(1, squares / binomial) : 1;
  const { low, high } = wilsonInterval(positives / designEffect, n / designEffect);
  return {
    n,
    predicted,
    observed,
    observedLow: low,
    observedHigh: high,
    ratio: positives > 0 ? predicted / observed : Number.NaN,
    ratioLow: predicted / high,
    ratioHigh: predicted / low,
  };
}
