import type { Calibration } from "../../experiments/metrics/calibration.ts";

/** The rows of the highest predictions so far. */
export interface LiftPoint {
  /** Share of all rows, (0, 1]. */
  readonly rows: number;
  /** Share of all positives among them. */
  readonly positives: number;
  /** positives ÷ rows: how many times more positives than as many rows by chance. */
  readonly lift: number;
}

/**
 * Cumulative gains by bins of predictions, the highest first; empty without positives.
 * Source: Provost and Fawcett (2013), "Data Science for Business", chapter 8 (cumulative response and lift curves).
 */
export function liftCurve({ bins, overall }: Calibration): LiftPoint[] {
  const total = overall.n * overall.observed;
  if (!(total > 0)) return [];
  const points: LiftPoint[] = [];
  let [rows, positives] = [0, 0];
  for (const bin of [...bins].reverse()) {
    rows += bin.n / overall.n;
    positives += (bin.n * bin.observed) / total;
    points.push({ rows, positives, lift: positives / rows });
  }
  return points;
}
