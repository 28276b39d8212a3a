import { HEAD_BY_NAME } from "../../datasets/heads.ts";
import { aucMetric } from "../../experiments/metrics/auc.ts";
import { bootstrap, type Interval } from "../../experiments/metrics/bootstrap.ts";
import { type Calibration, calibration } from "../../experiments/metrics/calibration.ts";
import { type Comparison, compareScorers } from "../../experiments/metrics/compare.ts";
import type { ScoredRows } from "../../experiments/metrics/scored-rows.ts";
import { BINARY_HEAD_METRICS } from "../../experiments/metrics/standard.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { type LiftPoint, liftCurve } from "./lift.ts";

/** Scorer → predictions [n, heads] in the order of the rows' heads; NaN columns for heads that it lacks. */
export type Predictions = ReadonlyMap<string, Float32Array>;

export interface HeadReport {
  readonly head: string;
  readonly rows: number;
  readonly positives: number;
  /** Positives that the main scorer was trained on. */
  readonly training_positives: number | null;
  /** Scorer → metric → value with its interval over resampled users. */
  readonly metrics: Readonly<Record<string, Readonly<Record<string, Interval>>>>;
  /** The oracle's AUC − the main scorer's, on the same rows; null where the truth is unknown. */
  readonly gap_to_oracle: number | null;
  /** The main scorer against the others, paired. */
  readonly comparisons: Readonly<Record<string, Comparison>>;
  readonly calibration: Calibration | null;
  /** Of the main scorer, at the ends of the calibration's bins from the highest predictions down. */
  readonly lift: readonly LiftPoint[] | null;
}

export interface HeadReportOptions {
  readonly seed: number;
  readonly rounds: number;
  /** The scorer that the others are compared with. */
  readonly main: string;
  readonly trainingPositives: Readonly<Record<string, number>>;
}

/** Judges every binary head of the rows under every scorer. Heads with one class only get no metrics. */
export function headReports(
  rows: TrainingRows,
  predictions: Predictions,
  options: HeadReportOptions,
): HeadReport[] {
  return rows.headNames.flatMap((head, h) =>
    HEAD_BY_NAME.get(head)?.kind === "binary"
      ? [headReport(rows, predictions, head, h, options)]
      : [],
  );
}

function headReport(
  rows: TrainingRows,
  predictions: Predictions,
  head: string,
  h: number,
  { seed, rounds, main, trainingPositives }: HeadReportOptions,
): HeadReport {
  const labels = column(rows.labels, rows.headNames.length, h, rows.n);
  let observed = 0;
  let positives = 0;
  for (const label of labels) {
    if (Number.isNaN(label)) continue;
    observed++;
    if (label === 1) positives++;
  }
  const scored = new Map<string, ScoredRows>();
  for (const [scorer, values] of predictions) {
    const scores = column(values, rows.headNames.length, h, rows.n);
    if (Number.isNaN(scores[0])) continue;
    scored.set(scorer, { scores, labels, groups: rows.user, units: rows.user });
  }
  const metrics: Record<string, Record<string, Interval>> = {};
  const comparisons: Record<string, Comparison> = {};
  const mainRows = scored.get(main);
  const judged = positives > 0 && positives < observed;
  for (const [scorer, each] of judged ? scored : []) {
    metrics[scorer] = {};
    for (const metric of BINARY_HEAD_METRICS)
      metrics[scorer][metric.name] = bootstrap(metric, each, { seed, rounds });
    if (scorer !== main && mainRows !== undefined)
      comparisons[scorer] = compareScorers(aucMetric, each, mainRows.scores, { seed, rounds });
  }
  const oracle = metrics.oracle?.auc?.value;
  const own = metrics[main]?.auc?.value;
  const table = judged && mainRows !== undefined ? calibration(mainRows) : null;
  return {
    head,
    rows: observed,
    positives,
    training_positives: trainingPositives[head] ?? null,
    metrics,
    gap_to_oracle: oracle === undefined || own === undefined ? null : oracle - own,
    comparisons,
    calibration: table,
    lift: table === null ? null : liftCurve(table),
  };
}

/** Column h of a row-major [n, width] matrix. */
function column(values: Float32Array, width: number, h: number, n: number): Float32Array {
  const out = new Float32Array(n);
  for (let row = 0; row < n; row++) out[row] = values[row * width + h] as number;
  return out;
}
