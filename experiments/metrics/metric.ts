import type { ScoredRows } from "./scored-rows.ts";

/** A measure of scores against labels that can be evaluated again and again under other unit weights. */
export interface Metric {
  readonly name: string;
  readonly better: "higher" | "lower";
  /** Checks and sorts once. @throws COLUMN_LENGTH, BAD_METRIC_INPUT */
  prepare(rows: ScoredRows): PreparedMetric;
}

export interface PreparedMetric {
  /** How many units a weight vector must hold. */
  readonly unitCount: number;
  /**
   * The metric when unit u counts `unitWeights[u]` times (once, when absent).
   * NaN where it is undefined: no rows, or one class where two are needed.
   */
  value(unitWeights?: Float64Array): number;
}
