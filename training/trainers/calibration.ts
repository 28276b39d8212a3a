import { calibration } from "../../experiments/metrics/calibration.ts";
import { type Calibration, calibrate } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { AMOUNT_CAP } from "../models/multi-head-loss.ts";
import { cubicScaling } from "./cubic.ts";
import type { HeadStatistics } from "./head-statistics.ts";
import { isotonicCurve } from "./isotonic.ts";
import { plattScaling } from "./platt.ts";

/** Positives and negatives from which a curve of many points can be trusted at all. */
const CURVE_LEAST = 1000;
const FOLDS = 5;
/** Two-sided 95 % point of Student's t over so many folds' differences. */
const T_95 = 2.776;
/** Probabilities are kept this far from 0 and 1, so that one surprise does not decide the comparison. */
const EDGE = 1e-6;

/**
 * One calibration per head, learned from the model's outputs [n, heads] on validation rows.
 * Binary heads: logistic (Platt); where ≥ 1,000 positives and negatives exist also a cubic on the logit scale and isotonic
 * regression, judged out of fold over users. Of those whose log loss is not beyond the 95 % interval of the least one's, the
 * one whose tenths of the predictions fit best (Hosmer–Lemeshow), each further parameter having to earn 1 of that χ².
 * Amounts: the least-squares line. Masked heads: identity.
 *
 * Source: Hosmer, Lemeshow (1980), "Goodness of fit tests for the multiple logistic regression model".
 */
export function calibrateHeads(
  outputs: Float32Array,
  rows: TrainingRows,
  training: readonly HeadStatistics[],
): Calibration[] {
  const heads = training.length;
  return training.map((head, h): Calibration => {
    const scores = new Float32Array(rows.n);
    const labels = new Float32Array(rows.n);
    let [positives, negatives] = [0, 0];
    for (let row = 0; row < rows.n; row++) {
      scores[row] = outputs[row * heads + h] as number;
      const label = rows.labels[row * heads + h] as number;
      labels[row] = label;
      if (label > 0) positives++;
      else if (label === 0) negatives++;
    }
    if (head.kind === "continuous") return { kind: "linear", ...line(scores, labels, rows.weight) };
    if (head.positives === 0) return { kind: "platt", a: 1, b: 0 };
    if (Math.min(positives, negatives) < CURVE_LEAST)
      return { kind: "platt", ...plattScaling(scores, labels, rows.weight) };
    return best(scores, labels, rows);
  });
}

/** A way to calibrate a binary head; undefined where it does not fit the rows. */
interface Method {
  readonly fit: (
    scores: Float32Array,
    labels: Float32Array,
    weights: Float32Array,
  ) => Calibration | undefined;
  /** Parameters beyond Platt's two. */
  readonly further: number;
}

const METHODS: readonly Method[] = [
  {
    fit: (scores, labels, weights) => ({ kind: "platt", ...plattScaling(scores, labels, weights) }),
    further: 0,
  },
  {
    fit: (scores, labels, weights) => {
      const curve = cubicScaling(scores, labels, weights);
      return curve && { kind: "cubic", ...curve };
    },
    further: 2,
  },
  {
    fit: (scores, labels, weights) => ({
      kind: "isotonic",
      ...inside(isotonicCurve(scores, labels, weights)),
    }),
    // Its steps are many, but bound to rise; a handful stands for what they are free to follow.
    further: 6,
  },
];

/** The method that fits best out of fold, fitted on all rows. */
function best(scores: Float32Array, labels: Float32Array, rows: TrainingRows): Calibration {
  const judged = METHODS.flatMap((method) => {
    const whole = method.fit(scores, labels, rows.weight);
    const folds = whole && outOfFold(method, scores, labels, rows);
    return whole && folds ? [{ whole, ...folds, misfit: folds.misfit + method.further }] : [];
  });
  const least = judged.reduce((a, b) => (mean(b.losses) < mean(a.losses) ? b : a));
  const usable = judged.filter(({ losses }) => {
    const behind = losses.map((loss, fold) => loss - (least.losses[fold] as number));
    const centre = mean(behind);
    const variance = behind.reduce((sum, x) => sum + (x - centre) ** 2, 0) / (FOLDS - 1);
    return centre <= T_95 * Math.sqrt(variance / FOLDS);
  });
  return usable.reduce((a, b) => (b.misfit < a.misfit ? b : a)).whole;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Mean log loss of each fold of users under the fit on the others, and the χ² of all of them in ten bins. */
function outOfFold(
  method: Method,
  scores: Float32Array,
  labels: Float32Array,
  rows: TrainingRows,
): { losses: number[]; misfit: number } | undefined {
  const predicted = new Float32Array(labels.length);
  const losses: number[] = [];
  for (let fold = 0; fold < FOLDS; fold++) {
    const rest = labels.map((label, row) =>
      (rows.user[row] as number) % FOLDS === fold ? Number.NaN : label,
    );
    const rule = method.fit(scores, rest, rows.weight);
    if (rule === undefined) return undefined;
    let [loss, total] = [0, 0];
    for (let row = 0; row < labels.length; row++) {
      const label = labels[row] as number;
      if ((rows.user[row] as number) % FOLDS !== fold) continue;
      const p = calibrate(rule, scores[row] as number);
      predicted[row] = p;
      if (Number.isNaN(label)) continue;
      loss += (rows.weight[row] as number) * logLoss(p, label);
      total += rows.weight[row] as number;
    }
    losses.push(total > 0 ? loss / total : 0);
  }
  const { bins } = calibration({ scores: predicted, labels });
  const misfit = bins.reduce((sum, bin) => {
    const expected = Math.min(Math.max(bin.predicted, EDGE), 1 - EDGE);
    return sum + (bin.n * (bin.observed - expected) ** 2) / (expected * (1 - expected));
  }, 0);
  return { losses, misfit };
}

function logLoss(probability: number, label: number): number {
  const p = Math.min(Math.max(probability, EDGE), 1 - EDGE);
  return -(label * Math.log(p) + (1 - label) * Math.log(1 - p));
}

function inside({ x, y }: { x: number[]; y: number[] }): { x: number[]; y: number[] } {
  return { x, y: y.map((p) => Math.min(Math.max(p, EDGE), 1 - EDGE)) };
}

/** Least-squares line of capped amounts on predictions; only a shift where the slope would not be positive. */
function line(
  scores: Float32Array,
  labels: Float32Array,
  weights: Float32Array,
): { a: number; b: number } {
  let [total, sumX, sumY] = [0, 0, 0];
  const rows: number[] = [];
  for (let row = 0; row < labels.length; row++) {
    if (Number.isNaN(labels[row])) continue;
    rows.push(row);
    const weight = weights[row] as number;
    total += weight;
    sumX += weight * (scores[row] as number);
    sumY += weight * Math.min(labels[row] as number, AMOUNT_CAP);
  }
  if (total === 0) return { a: 1, b: 0 };
  const [meanX, meanY] = [sumX / total, sumY / total];
  let [xx, xy] = [0, 0];
  for (const row of rows) {
    const dx = (scores[row] as number) - meanX;
    xx += (weights[row] as number) * dx * dx;
    xy += (weights[row] as number) * dx * (Math.min(labels[row] as number, AMOUNT_CAP) - meanY);
  }
  const a = xx > 0 && xy > 0 ? xy / xx : 1;
  return { a, b: meanY - a * meanX };
}
