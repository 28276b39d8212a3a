import { random, shuffle } from "../../datasets/random.ts";
import { auc } from "../../experiments/metrics/auc.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { bundleMatrices, predictRows } from "./predict-rows.ts";
import type { Predictor } from "./predictor.ts";

export interface FeatureReport {
  readonly feature: string;
  /** Share of rows where it is not missing. */
  readonly present: number;
  readonly constant: boolean;
  /** Mean AUC over the judged heads that the model loses when the feature's values are shuffled among rows; null = unused. */
  readonly auc_lost: number | null;
}

/** Rows that are shuffled and predicted again per feature: enough for a loss of .0005 on a common head. */
const SAMPLE_ROWS = 15_000;
/** Heads with fewer positives in the sample only add noise. */
const LEAST_POSITIVES = 100;

/**
 * How often each feature of the registry is present, and what the model loses without its information.
 * Source: permutation importance, Breiman (2001), "Random Forests", section 10.
 */
export async function featureReports(
  rows: TrainingRows,
  predictor: Predictor,
  seed: number,
  onProgress: (share: number) => void,
): Promise<FeatureReport[]> {
  const sample = sampleRows(rows, seed);
  const judged = judgedHeads(sample, predictor.heads);
  const used = new Map(predictor.bundle.manifest.features.map((name, i) => [name, i]));
  const matrices = bundleMatrices(sample, predictor.bundle.manifest);
  const whole = await predictRows(predictor, matrices, sample.n);
  const reference = judged.map(({ column, labels }) =>
    aucOf(whole, predictor.heads.length, column, labels),
  );
  const reports: FeatureReport[] = [];
  for (const [f, feature] of rows.featureNames.entries()) {
    onProgress(f / rows.featureNames.length);
    const { present, constant } = presence(rows, f);
    const at = used.get(feature);
    let lost: number | null = null;
    if (at !== undefined && judged.length > 0) {
      const shuffled = withShuffled(matrices.features, matrices.width, at, sample.n, seed);
      const values = await predictRows(predictor, { ...matrices, features: shuffled }, sample.n);
      lost = judged.reduce(
        (sum, { column, labels }, i) =>
          sum +
          ((reference[i] as number) - aucOf(values, predictor.heads.length, column, labels)) /
            judged.length,
        0,
      );
    }
    reports.push({ feature, present, constant, auc_lost: lost });
  }
  return reports;
}

function presence(rows: TrainingRows, f: number): { present: number; constant: boolean } {
  const d = rows.featureNames.length;
  let present = 0;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let at = f; at < rows.n * d; at += d) {
    const value = rows.features[at] as number;
    if (Number.isNaN(value)) continue;
    present++;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { present: present / rows.n, constant: !(high > low) };
}

function sampleRows(rows: TrainingRows, seed: number): TrainingRows {
  if (rows.n <= SAMPLE_ROWS) return rows;
  const order = shuffle(
    Array.from({ length: rows.n }, (_, i) => i),
    random(seed, "feature_sample"),
  );
  const chosen = order.slice(0, SAMPLE_ROWS).sort((a, b) => a - b);
  const take = <T extends Float32Array | Uint32Array>(from: T, width: number, to: T): T => {
    chosen.forEach((row, i) => {
      to.set(from.subarray(row * width, (row + 1) * width) as never, i * width);
    });
    return to;
  };
  const [d, k, h] = [rows.featureNames.length, rows.idNames.length, rows.headNames.length];
  return {
    ...rows,
    n: chosen.length,
    features: take(rows.features, d, new Float32Array(chosen.length * d)),
    ids: take(rows.ids, k, new Uint32Array(chosen.length * k)),
    labels: take(rows.labels, h, new Float32Array(chosen.length * h)),
  };
}

interface JudgedHead {
  readonly column: number;
  readonly labels: Float32Array;
}

function judgedHeads(rows: TrainingRows, heads: readonly string[]): JudgedHead[] {
  const width = rows.headNames.length;
  return heads.flatMap((head, column) => {
    const h = rows.headNames.indexOf(head);
    const labels = new Float32Array(rows.n);
    let positives = 0;
    for (let row = 0; row < rows.n; row++) {
      const label = rows.labels[row * width + h] as number;
      if (label !== 0 && label !== 1 && !Number.isNaN(label)) return [];
      labels[row] = label;
      if (label === 1) positives++;
    }
    return positives >= LEAST_POSITIVES ? [{ column, labels }] : [];
  });
}

function aucOf(values: Float32Array, width: number, column: number, labels: Float32Array): number {
  const scores = new Float32Array(labels.length);
  for (let row = 0; row < labels.length; row++)
    scores[row] = values[row * width + column] as number;
  return auc({ scores, labels });
}

function withShuffled(
  features: Float32Array,
  width: number,
  at: number,
  n: number,
  seed: number,
): Float32Array {
  const order = shuffle(
    Array.from({ length: n }, (_, i) => i),
    random(seed, "permute", at),
  );
  const shuffled = features.slice();
  for (let row = 0; row < n; row++)
    shuffled[row * width + at] = features[(order[row] as number) * width + at] as number;
  return shuffled;
}
