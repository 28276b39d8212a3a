import { type BootstrapOptions, bootstrapAll, type Interval } from "./bootstrap.ts";
import type { Metric } from "./metric.ts";
import type { ScoreColumn } from "./score-order.ts";
import type { ScoredRows } from "./scored-rows.ts";

/** The candidate against the baseline: `noise` when the interval of the difference holds 0 or cannot be given. */
export type Verdict = "better" | "worse" | "noise";

export interface Comparison {
  readonly metric: string;
  readonly baseline: number;
  readonly candidate: number;
  /** candidate − baseline. */
  readonly difference: Interval;
  readonly verdict: Verdict;
}

/**
 * Two scorers on the same rows: the paired difference of `metric` with a bootstrap interval clustered by unit. Both see
 * the same resamples, so what they share (hard users, rare labels) cancels. `rows.scores` is the baseline.
 * @throws COLUMN_LENGTH, BAD_METRIC_INPUT
 */
export function compareScorers(
  metric: Metric,
  rows: ScoredRows,
  candidateScores: ScoreColumn,
  options: BootstrapOptions,
): Comparison {
  const baseline = metric.prepare(rows);
  const candidate = metric.prepare({ ...rows, scores: candidateScores });
  const difference = bootstrapAll(
    [baseline, candidate],
    ([before, after]) => (after as number) - (before as number),
    options,
  );
  return {
    metric: metric.name,
    baseline: baseline.value(),
    candidate: candidate.value(),
    difference,
    verdict: verdictOf(difference, metric.better),
  };
}

/** What an interval of a difference says. */
export function verdictOf({ low, high }: Interval, better: Metric["better"]): Verdict {
  if (low > 0) return better === "higher" ? "better" : "worse";
  if (high < 0) return better === "higher" ? "worse" : "better";
  return "noise";
}
