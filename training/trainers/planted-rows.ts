import { random } from "../../datasets/random.ts";
import type { TrainingRows } from "../../features/rows.ts";

/** What decides the labels of one head of planted rows. */
export interface PlantedHead {
  readonly name: string;
  /** Log-odds (binary head) or expected amount (continuous) from the row's features and first id. */
  readonly truth: (x: Float32Array, id: number) => number;
  readonly kind?: "binary" | "continuous";
  /** Share of rows in which the label is not observable. */
  readonly masked?: number;
}

export interface PlantedOptions {
  readonly n: number;
  readonly features: number;
  readonly heads: readonly PlantedHead[];
  readonly seed: number;
  /** Distinct values of each id column. */
  readonly ids?: readonly { readonly name: string; readonly values: number }[];
  /** Share of feature values that are missing. */
  readonly missing?: number;
  readonly users?: number;
  /** Time of the first row; one row a second follows. */
  readonly fromMs?: number;
}

/**
 * Rows whose truth is known: standard normal features, ids uniform, labels drawn from the given log-odds. The truth reads
 * values before some of them go missing. For tests and benchmarks of training.
 */
export function plantedRows(options: PlantedOptions): TrainingRows {
  const { n, features: d, heads, seed, ids = [], missing = 0, users = 500, fromMs = 0 } = options;
  const draws = random(seed, "planted");
  const x = new Float32Array(d);
  const features = new Float32Array(n * d);
  const labels = new Float32Array(n * heads.length);
  const hashes = new Uint32Array(n * ids.length);
  const user = new Int32Array(n);
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < d; j++) x[j] = draws.normal();
    for (let k = 0; k < ids.length; k++)
      hashes[row * ids.length + k] = 1 + draws.below((ids[k] as { values: number }).values);
    user[row] = draws.below(users);
    const id = hashes[row * ids.length] ?? 0;
    for (let h = 0; h < heads.length; h++) {
      const { truth, kind = "binary", masked = 0 } = heads[h] as PlantedHead;
      const value = truth(x, id);
      const label =
        kind === "binary"
          ? Number(draws.next() < 1 / (1 + Math.exp(-value)))
          : draws.gamma(2) * 0.5 * value;
      labels[row * heads.length + h] = draws.next() < masked ? Number.NaN : label;
    }
    for (let j = 0; j < d; j++)
      features[row * d + j] = missing > 0 && draws.next() < missing ? Number.NaN : (x[j] as number);
  }
  return {
    n,
    featureNames: Array.from({ length: d }, (_, j) => `x${j}`),
    features,
    idNames: ids.map(({ name }) => name),
    ids: hashes,
    headNames: heads.map(({ name }) => name),
    labels,
    timeMs: Float64Array.from({ length: n }, (_, row) => fromMs + row * 1000),
    user,
    userIds: Array.from(user, String),
    postIds: Array.from({ length: n }, (_, row) => String(row)),
    position: new Float32Array(n),
    inNetwork: new Float32Array(n).fill(1),
    weight: new Float32Array(n).fill(1),
  };
}

/** Rows `from` … `to` − 1 as views. */
export function sliceRows(rows: TrainingRows, from: number, to: number): TrainingRows {
  const [d, k, h] = [rows.featureNames.length, rows.idNames.length, rows.headNames.length];
  return {
    ...rows,
    n: to - from,
    features: rows.features.subarray(from * d, to * d),
    ids: rows.ids.subarray(from * k, to * k),
    labels: rows.labels.subarray(from * h, to * h),
    timeMs: rows.timeMs.subarray(from, to),
    user: rows.user.subarray(from, to),
    userIds: rows.userIds.slice(from, to),
    postIds: rows.postIds.slice(from, to),
    position: rows.position.subarray(from, to),
    inNetwork: rows.inNetwork.subarray(from, to),
    weight: rows.weight.subarray(from, to),
  };
}
