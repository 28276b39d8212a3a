import { HEAD_BY_NAME } from "../../datasets/heads.ts";
import { bootstrap, type Interval } from "../../experiments/metrics/bootstrap.ts";
import { observedOverPredicted } from "../../experiments/metrics/observed-over-predicted.ts";
import {
  PSI_LARGE,
  PSI_MODERATE,
  populationStability,
  referenceBins,
} from "../../experiments/metrics/population-stability.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import { rowsBetween } from "../../features/replay.ts";
import type { TrainingRows } from "../../features/rows.ts";

/** What makes the report recommend a retraining. */
export const DRIFT_THRESHOLDS = {
  /** Share of the model's features, those of the clock aside, whose index is above `psi`. Single counters always wander, a tenth of them does not. */
  features_share: 0.1,
  /** A large change of one feature, or of the scores of a head. */
  psi: PSI_LARGE,
  /** Observed ÷ predicted of a head whose whole interval lies outside is miscalibrated; as the platform asks of its models. */
  calibration_low: 0.9,
  calibration_high: 1.1,
  /** Heads with fewer positives since say nothing. */
  positives: 100,
} as const;

export interface FeatureDrift {
  readonly feature: string;
  readonly psi: number;
  readonly change: "stable" | "moderate" | "large";
  /** Share of rows in which it is missing, in the reference and since. */
  readonly missing: readonly [number, number];
}

export interface CalibrationDrift {
  readonly from_ms: number;
  readonly rows: number;
  readonly positives: number;
  /** Observed ÷ predicted with its 95 % interval over resampled viewers. */
  readonly ratio: Interval;
}

export interface HeadDrift {
  readonly head: string;
  /** Of the calibrated probabilities. */
  readonly score_psi: number;
  /** Mean probability in the reference and since, of all rows. */
  readonly mean_score: readonly [number, number];
  /** All rows since, as one. */
  readonly overall: CalibrationDrift;
  readonly days: readonly CalibrationDrift[];
}

export interface DriftTrigger {
  readonly what: "features" | "scores" | "calibration";
  /** The head; absent for features. */
  readonly head?: string;
  readonly value: number;
  readonly threshold: number;
  readonly reason: string;
}

export interface DriftFindings {
  /** Largest change first. */
  readonly features: readonly FeatureDrift[];
  readonly heads: readonly HeadDrift[];
  readonly thresholds: typeof DRIFT_THRESHOLDS;
  readonly triggers: readonly DriftTrigger[];
  readonly retrain: boolean;
}

/** Rows with the calibrated predictions of the model for them, [n, rows' heads]; NaN columns for heads that it lacks. */
export interface PredictedRows {
  readonly rows: TrainingRows;
  readonly predictions: Float32Array;
}

const DAY_MS = 86_400_000;

/**
 * How far the rows since differ from the reference: inputs and scores by population stability index, outcomes against
 * predictions by day. Days are counted from `sinceMs`.
 */
export function driftFindings(
  manifest: Pick<BundleManifest, "features" | "masked_heads">,
  reference: PredictedRows,
  since: PredictedRows,
  options: { readonly sinceMs: number; readonly seed: number; readonly rounds: number },
): DriftFindings {
  const features = manifest.features
    .map((feature) => featureDrift(feature, reference.rows, since.rows))
    .sort((a, b) => b.psi - a.psi);
  const heads = since.rows.headNames.flatMap((head, h): HeadDrift[] => {
    if (HEAD_BY_NAME.get(head)?.kind !== "binary" || manifest.masked_heads.includes(head))
      return [];
    if (Number.isNaN(since.predictions[h])) return [];
    const width = since.rows.headNames.length;
    const before = column(reference.predictions, width, h, reference.rows.n);
    const now = column(since.predictions, width, h, since.rows.n);
    return [
      {
        head,
        score_psi: populationStability(referenceBins(before), now),
        mean_score: [mean(before), mean(now)],
        overall: calibrationOf(since, h, options.sinceMs, Number.POSITIVE_INFINITY, options),
        days: byDay(since, h, options),
      },
    ];
  });
  const triggers = triggersOf(features, heads);
  return { features, heads, thresholds: DRIFT_THRESHOLDS, triggers, retrain: triggers.length > 0 };
}

function featureDrift(feature: string, before: TrainingRows, now: TrainingRows): FeatureDrift {
  const values = (rows: TrainingRows): Float32Array =>
    column(rows.features, rows.featureNames.length, rows.featureNames.indexOf(feature), rows.n);
  const [then, today] = [values(before), values(now)];
  const psi = populationStability(referenceBins(then), today);
  const missing = (of: Float32Array): number =>
    of.reduce((sum, value) => sum + Number(!Number.isFinite(value)), 0) / of.length;
  return {
    feature,
    psi,
    change: psi > PSI_LARGE ? "large" : psi > PSI_MODERATE ? "moderate" : "stable",
    missing: [missing(then), missing(today)],
  };
}

function byDay(
  since: PredictedRows,
  h: number,
  options: { readonly sinceMs: number; readonly seed: number; readonly rounds: number },
): CalibrationDrift[] {
  const { rows } = since;
  const days: CalibrationDrift[] = [];
  const endMs = rows.timeMs[rows.n - 1] as number;
  for (let fromMs = options.sinceMs; fromMs <= endMs; fromMs += DAY_MS)
    days.push(calibrationOf(since, h, fromMs, fromMs + DAY_MS, options));
  return days.filter((day) => day.rows > 0);
}

function calibrationOf(
  { rows, predictions }: PredictedRows,
  h: number,
  fromMs: number,
  toMs: number,
  options: { readonly seed: number; readonly rounds: number },
): CalibrationDrift {
  const width = rows.headNames.length;
  const part = rowsBetween(rows, fromMs, toMs);
  const first = (part.labels.byteOffset - rows.labels.byteOffset) / (4 * width);
  const labels = column(part.labels, width, h, part.n);
  const scores = column(predictions.subarray(first * width), width, h, part.n);
  return {
    from_ms: fromMs,
    rows: labels.reduce((sum, label) => sum + Number(!Number.isNaN(label)), 0),
    positives: labels.reduce((sum, label) => sum + Number(label === 1), 0),
    ratio: bootstrap(observedOverPredicted, { scores, labels, units: part.user }, options),
  };
}

function triggersOf(
  features: readonly FeatureDrift[],
  heads: readonly HeadDrift[],
): DriftTrigger[] {
  const limits = DRIFT_THRESHOLDS;
  const triggers: DriftTrigger[] = [];
  // The clock moves without anything having changed.
  const counted = features.filter(({ feature }) => !feature.startsWith("context."));
  const large = counted.filter(({ psi }) => psi > limits.psi);
  const share = large.length / Math.max(1, counted.length);
  if (share > limits.features_share)
    triggers.push({
      what: "features",
      value: share,
      threshold: limits.features_share,
      reason: `${large.length} of ${counted.length} features have a PSI above ${limits.psi}, most ${large[0]?.feature}`,
    });
  for (const { head, score_psi, overall } of heads) {
    if (overall.positives < limits.positives) continue;
    if (score_psi > limits.psi)
      triggers.push({
        what: "scores",
        head,
        value: score_psi,
        threshold: limits.psi,
        reason: `the scores of ${head} have a PSI of ${score_psi.toFixed(3)}, above ${limits.psi}`,
      });
    const { value, low, high } = overall.ratio;
    const under = high < limits.calibration_low;
    if (under || low > limits.calibration_high)
      triggers.push({
        what: "calibration",
        head,
        value,
        threshold: under ? limits.calibration_low : limits.calibration_high,
        reason: `observed ÷ predicted of ${head} is ${value.toFixed(3)} (${low.toFixed(3)} – ${high.toFixed(3)}), all of it ${under ? `below ${limits.calibration_low}` : `above ${limits.calibration_high}`}`,
      });
  }
  return triggers;
}

function column(values: Float32Array, width: number, at: number, n: number): Float32Array {
  const out = new Float32Array(n);
  for (let row = 0; row < n; row++) out[row] = values[row * width + at] as number;
  return out;
}

const mean = (values: Float32Array): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
