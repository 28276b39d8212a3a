import {
  type Bundle,
  type BundleManifest,
  type Calibration,
  calibrate,
  idBucket,
} from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import { copyFeatures, featureColumns, isWhole } from "../trainers/row-columns.ts";

/** Rows per run of the model. */
const CHUNK = 2048;

/** The parts of a bundle that predict. */
export interface PredictingBundle extends Pick<Bundle, "model"> {
  readonly manifest: Pick<
    BundleManifest,
    "features" | "ids" | "heads" | "calibration" | "masked_heads"
  >;
}

/**
 * What a bundle predicts for rows: calibrated, [n, rows' heads] in the rows' order of heads, 0 for masked heads and NaN
 * for heads that the bundle lacks. Rows may hold more features than the bundle reads, in any order.
 * @throws BAD_DATASET naming features that the rows lack
 */
export async function bundlePredictions(
  { manifest, model }: PredictingBundle,
  rows: TrainingRows,
  threads = 1,
): Promise<Float32Array> {
  const columns = featureColumns(rows, manifest.features);
  const whole = isWhole(rows, columns);
  const idColumns = manifest.ids.map(({ name }) => rows.idNames.indexOf(name));
  const [d, k, h] = [columns.length, idColumns.length, manifest.heads.length];
  const target = manifest.heads.map(({ name }) => rows.headNames.indexOf(name));
  const width = rows.headNames.length;
  const out = new Float32Array(rows.n * width).fill(Number.NaN);
  const session = await onnxSession(model, threads);
  try {
    for (let start = 0; start < rows.n; start += CHUNK) {
      const size = Math.min(CHUNK, rows.n - start);
      const features = new Float32Array(size * d);
      const ids = new Int32Array(size * k);
      for (let i = 0; i < size; i++) {
        copyFeatures(rows, start + i, columns, whole, features, i * d);
        for (let c = 0; c < k; c++) {
          const hash = rows.ids[(start + i) * rows.idNames.length + (idColumns[c] as number)] ?? 0;
          ids[i * k + c] = idBucket(hash, manifest.ids[c]?.buckets as number);
        }
      }
      const { outputs } = await session.run({
        features: { data: features, shape: [size, d] },
        ids: { data: ids, shape: [size, k] },
      });
      for (let j = 0; j < h; j++) {
        if (target[j] === -1) continue;
        const masked = manifest.masked_heads.includes(manifest.heads[j]?.name as string);
        for (let i = 0; i < size; i++)
          out[(start + i) * width + (target[j] as number)] = masked
            ? 0
            : calibrate(manifest.calibration[j] as Calibration, outputs?.[i * h + j] as number);
      }
    }
  } finally {
    await session.release();
  }
  return out;
}
