import { aucMetric } from "../../experiments/metrics/auc.ts";
import { bootstrap, type Interval } from "../../experiments/metrics/bootstrap.ts";
import { type Comparison, compareScorers } from "../../experiments/metrics/compare.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { headStatistics } from "../trainers/head-statistics.ts";

export const LEARNERS = ["frozen", "warm", "retrained"] as const;
export type Learner = (typeof LEARNERS)[number];

/** Candidate against baseline, in the order in which reports show them. */
const PAIRS = [
  ["warm", "frozen"],
  ["retrained", "frozen"],
  ["warm", "retrained"],
] as const;

/** Rows of one judged day with what each learner predicted for them, [n, heads] calibrated. */
export interface JudgedDay {
  readonly fromMs: number;
  readonly rows: TrainingRows;
  readonly predictions: Readonly<Record<Learner, Float32Array>>;
}

export interface LearningFigures {
  /** First moment of the day; null for all days together. */
  readonly from_ms: number | null;
  readonly rows: number;
  readonly positives: number;
  readonly auc: Readonly<Record<Learner, Interval>>;
  /** `warm-frozen` … : AUC of the first − AUC of the second, paired. */
  readonly differences: Readonly<Record<string, Comparison>>;
}

export interface HeadLearning {
  readonly head: string;
  readonly overall: LearningFigures;
  /** Days with enough positives. */
  readonly days: readonly LearningFigures[];
}

export interface LearningReport {
  readonly heads: readonly HeadLearning[];
  /** What warm start was against frozen over all days: heads by verdict, and the sentence for people. */
  readonly warm_against_frozen: Readonly<Record<Comparison["verdict"], readonly string[]>>;
  readonly conclusion: string;
}

export interface LearningOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Fewer positives than this say nothing; such heads and days are left out. */
  readonly leastPositives?: number;
}

/**
 * AUC by day of frozen, warm-started and retrained models, with intervals of paired differences over resampled viewers.
 * Over all days the scores of several models are ranked together, which calibrated probabilities allow.
 */
export function learningReport(
  days: readonly JudgedDay[],
  { seed, rounds, leastPositives = 100 }: LearningOptions,
): LearningReport {
  const heads: HeadLearning[] = [];
  for (const [h, { name, kind }] of headStatistics((days[0] as JudgedDay).rows).entries()) {
    if (kind !== "binary") continue;
    const columns = days.map((day) => headColumns(day, h));
    const enough = ({ positives, rows }: HeadColumns): boolean =>
      positives >= leastPositives && positives < rows;
    const all = joined(columns);
    if (!enough(all)) continue;
    const options = { seed, rounds };
    heads.push({
      head: name,
      overall: figures(null, all, options),
      days: columns.flatMap((column, i) =>
        enough(column) ? [figures((days[i] as JudgedDay).fromMs, column, options)] : [],
      ),
    });
  }
  const by = (verdict: Comparison["verdict"]): string[] =>
    heads.flatMap(({ head, overall }) =>
      overall.differences["warm-frozen"]?.verdict === verdict ? [head] : [],
    );
  const against = { better: by("better"), worse: by("worse"), noise: by("noise") };
  return { heads, warm_against_frozen: against, conclusion: conclude(against) };
}

function conclude({ better, worse, noise }: LearningReport["warm_against_frozen"]): string {
  const total = better.length + worse.length + noise.length;
  if (total === 0) return "no head has enough positives to tell warm start from frozen";
  const rest = [
    ...(worse.length > 0 ? [`it loses on ${worse.join(", ")}`] : []),
    ...(noise.length > 0 ? [`no difference shows on ${noise.join(", ")}`] : []),
  ];
  const first =
    better.length === 0
      ? "warm start does not win over frozen on any head"
      : worse.length > 0
        ? `warm start does not win over frozen everywhere: it wins on ${better.join(", ")}`
        : `warm start wins over frozen on ${better.join(", ")}`;
  return [first, ...rest].join("; ");
}

interface HeadColumns {
  readonly rows: number;
  readonly positives: number;
  readonly labels: Float32Array;
  readonly viewers: readonly string[];
  readonly scores: Readonly<Record<Learner, Float32Array>>;
}

/** The rows of one day in which the head is observable. */
function headColumns({ rows, predictions }: JudgedDay, h: number): HeadColumns {
  const width = rows.headNames.length;
  const kept: number[] = [];
  for (let row = 0; row < rows.n; row++)
    if (!Number.isNaN(rows.labels[row * width + h])) kept.push(row);
  const column = (values: Float32Array): Float32Array =>
    Float32Array.from(kept, (row) => values[row * width + h] as number);
  const labels = column(rows.labels);
  return {
    rows: kept.length,
    positives: labels.reduce((sum, label) => sum + label, 0),
    labels,
    viewers: kept.map((row) => rows.userIds[row] as string),
    scores: {
      frozen: column(predictions.frozen),
      warm: column(predictions.warm),
      retrained: column(predictions.retrained),
    },
  };
}

function joined(days: readonly HeadColumns[]): HeadColumns {
  const join = (parts: readonly Float32Array[]): Float32Array =>
    Float32Array.from(parts.flatMap((part) => [...part]));
  const scores = (learner: Learner) => join(days.map((day) => day.scores[learner]));
  return {
    rows: days.reduce((sum, { rows }) => sum + rows, 0),
    positives: days.reduce((sum, { positives }) => sum + positives, 0),
    labels: join(days.map(({ labels }) => labels)),
    viewers: days.flatMap(({ viewers }) => viewers),
    scores: {
      frozen: scores("frozen"),
      warm: scores("warm"),
      retrained: scores("retrained"),
    },
  };
}

function figures(
  fromMs: number | null,
  { rows, positives, labels, viewers, scores }: HeadColumns,
  options: { readonly seed: number; readonly rounds: number },
): LearningFigures {
  const dense = new Map<string, number>();
  const units = Int32Array.from(viewers, (viewer) => {
    const unit = dense.get(viewer) ?? dense.size;
    dense.set(viewer, unit);
    return unit;
  });
  const scored = (learner: Learner) => ({ scores: scores[learner], labels, units });
  const interval = (learner: Learner) => bootstrap(aucMetric, scored(learner), options);
  return {
    from_ms: fromMs,
    rows,
    positives,
    auc: {
      frozen: interval("frozen"),
      warm: interval("warm"),
      retrained: interval("retrained"),
    },
    differences: Object.fromEntries(
      PAIRS.map(([candidate, baseline]) => [
        `${candidate}-${baseline}`,
        compareScorers(aucMetric, scored(baseline), scores[candidate], options),
      ]),
    ),
  };
}
