import { RoostError } from "../../errors.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import type { Predictor } from "./predictor.ts";

/** A model's inputs for a set of rows. */
export interface Matrices {
  /** Features a row. */
  readonly width: number;
  /** [n, width] */
  readonly features: Float32Array;
  /** Hashes [n, ids]. */
  readonly ids: Uint32Array;
}

/** The columns that a bundle reads, in its order. @throws BAD_BUNDLE naming what the rows lack */
export function bundleMatrices(rows: TrainingRows, manifest: BundleManifest): Matrices {
  const columns = manifest.features.map((name) => rows.featureNames.indexOf(name));
  const idColumns = manifest.ids.map(({ name }) => rows.idNames.indexOf(name));
  const absent = [
    ...manifest.features.filter((_, i) => columns[i] === -1),
    ...manifest.ids.filter((_, i) => idColumns[i] === -1).map(({ name }) => name),
  ];
  if (absent.length > 0)
    throw new RoostError(
      "BAD_BUNDLE",
      `${manifest.kind} needs unknown features: ${absent.join(", ")}`,
    );
  const [d, k] = [columns.length, idColumns.length];
  const features = new Float32Array(rows.n * d);
  const ids = new Uint32Array(rows.n * k);
  const [rowWidth, idWidth] = [rows.featureNames.length, rows.idNames.length];
  for (let row = 0; row < rows.n; row++) {
    for (let c = 0; c < d; c++)
      features[row * d + c] = rows.features[row * rowWidth + (columns[c] as number)] as number;
    for (let c = 0; c < k; c++)
      ids[row * k + c] = rows.ids[row * idWidth + (idColumns[c] as number)] as number;
  }
  return { width: d, features, ids };
}

/** Calibrated predictions [n, heads] in the bundle's order of heads. */
export async function predictRows(
  predictor: Predictor,
  { features, ids }: Matrices,
  n: number,
): Promise<Float32Array> {
  return Float32Array.from(await predictor.predict(features, ids, n));
}

/** Predictions [n, rows' heads] in the rows' order of heads; NaN columns for heads that the bundle lacks. */
export async function predictHeads(
  predictor: Predictor,
  rows: TrainingRows,
): Promise<Float32Array> {
  const values = await predictRows(
    predictor,
    bundleMatrices(rows, predictor.bundle.manifest),
    rows.n,
  );
  const width = predictor.heads.length;
  const out = new Float32Array(rows.n * rows.headNames.length).fill(Number.NaN);
  rows.headNames.forEach((head, h) => {
    const from = predictor.heads.indexOf(head);
    if (from < 0) return;
    for (let row = 0; row < rows.n; row++)
      out[row * rows.headNames.length + h] = values[row * width + from] as number;
  });
  return out;
}
