import { random } from "../../datasets/random.ts";
import type { TrainingRows } from "../../features/rows.ts";

export interface JudgedRowsOptions {
  readonly n: number;
  readonly seed: number;
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly users?: number;
  /** Added to the feature `x` of every row. */
  readonly shift?: number;
  /** The true rate of a click is that of the logit x − 1 times this. */
  readonly rate?: number;
  readonly featureNames?: readonly string[];
  readonly idNames?: readonly string[];
}

/** P(click) that a model believes in which knows the truth at rate 1. */
export const believed = (x: number): number => 1 / (1 + Math.exp(1 - x));

/** Rows with one informative feature `x`, noise in the others, and a click drawn from it; no favorite ever. */
export function judgedRows(options: JudgedRowsOptions): TrainingRows {
  const { n, seed, fromMs = 0, toMs = 86_400_000, users = 100, shift = 0, rate = 1 } = options;
  const { featureNames = ["x", "noise"], idNames = [] } = options;
  const draws = random(seed, "judged rows");
  const d = featureNames.length;
  const features = new Float32Array(n * d);
  const labels = new Float32Array(n * 2);
  const user = new Int32Array(n);
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < d; j++) features[row * d + j] = draws.normal() + (j === 0 ? shift : 0);
    labels[row * 2] = Number(draws.next() < rate * believed(features[row * d] as number));
    user[row] = draws.below(users);
  }
  return {
    n,
    featureNames,
    features,
    idNames,
    ids: new Uint32Array(n * idNames.length),
    headNames: ["click", "favorite"],
    labels,
    timeMs: Float64Array.from({ length: n }, (_, row) => fromMs + ((toMs - fromMs) * row) / n),
    user,
    userIds: Array.from(user, String),
    postIds: Array.from({ length: n }, (_, row) => String(row)),
    position: new Float32Array(n),
    inNetwork: Float32Array.from({ length: n }, (_, row) => row % 2),
    weight: new Float32Array(n).fill(1),
  };
}

/** What that model predicts, [n, 2]; a favorite is predicted at .01. */
export function believedPredictions(rows: TrainingRows): Float32Array {
  const d = rows.featureNames.length;
  return Float32Array.from({ length: rows.n * 2 }, (_, at) =>
    at % 2 === 0 ? believed(rows.features[(at / 2) * d] as number) : 0.01,
  );
}
