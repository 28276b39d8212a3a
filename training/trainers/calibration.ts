import { type Calibration, calibrate } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { AMOUNT_CAP } from "../models/multi-head-loss.ts";
import type { HeadStatistics } from "./head-statistics.ts";
import { isotonicCurve } from "./isotonic.ts";
import { plattScaling } from "./platt.ts";

/** Positives and negatives from which a curve of many points can be trusted at all. */
const ISOTONIC_LEAST = 1000;
const FOLDS = 5;
/** Probabilities are kept this far from 0 and 1, so that one surprise does not decide the comparison. */
const EDGE = 1e-6;

/**
 * One calibration per head, learned from the model's outputs [n, heads] on validation rows.
 * Binary heads: logistic (Platt), or isotonic where ≥ 1,000 positives and negatives exist and it lowers the log loss
 * cross-validated over users by more than one standard error. Amounts: the least-squares line. Masked heads: identity.
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
    const platt: Calibration = { kind: "platt", ...plattScaling(scores, labels, rows.weight) };
    if (Math.min(positives, negatives) < ISOTONIC_LEAST) return platt;
    const gains = foldGains(scores, labels, rows);
    const mean = gains.reduce((sum, gain) => sum + gain, 0) / FOLDS;
    const variance = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / (FOLDS - 1);
    if (!(mean > Math.sqrt(variance / FOLDS))) return platt;
    return { kind: "isotonic", ...inside(isotonicCurve(scores, labels, rows.weight)) };
  });
}

/** Per fold of users: mean log loss of Platt minus that of isotonic, both fitted on the other folds. */
function foldGains(scores: Float32Array, labels: Float32Array, rows: TrainingRows): number[] {
  return Array.from({ length: FOLDS }, (_, fold) => {
    const rest = labels.map((label, row) =>
      (rows.user[row] as number) % FOLDS === fold ? Number.NaN : label,
    );
    const platt: Calibration = { kind: "platt", ...plattScaling(scores, rest, rows.weight) };
    const isotonic: Calibration = {
      kind: "isotonic",
      ...inside(isotonicCurve(scores, rest, rows.weight)),
    };
    let [gain, total] = [0, 0];
    for (let row = 0; row < labels.length; row++) {
      const label = labels[row] as number;
      if (Number.isNaN(label) || !Number.isNaN(rest[row])) continue;
      const weight = rows.weight[row] as number;
      const score = scores[row] as number;
      gain +=
        weight *
        (logLoss(calibrate(platt, score), label) - logLoss(calibrate(isotonic, score), label));
      total += weight;
    }
    return total > 0 ? gain / total : 0;
  });
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
