import * as ort from "onnxruntime-node";
import { type Bundle, type Calibration, calibrate, idBucket } from "../../features/bundle.ts";
import { checkBundle } from "../../features/check-bundle.ts";
import { FeatureReader } from "../../features/reader.ts";
import type { IdColumn } from "../../features/registry.ts";

/**
 * Runs a bundle on the calling thread, for judging offline: it blocks the event loop, which a server must not.
 * `predict` gives what serving would: calibrated probabilities (or amounts), 0 for masked heads.
 */
export interface Predictor {
  readonly bundle: Bundle;
  readonly heads: readonly string[];
  /** A reader of the bundle's features and ids. */
  reader(): FeatureReader;
  /** @param features [n, d] @param ids hashes [n, k] @returns [n, heads] */
  predict(features: Float32Array, ids: Uint32Array, n: number): Promise<Float64Array>;
  close(): Promise<void>;
}

const CHUNK = 4096;

/** @throws BAD_BUNDLE naming features that the registry lacks, or when their definitions have changed */
export async function createPredictor(bundle: Bundle, threads: number): Promise<Predictor> {
  const { manifest, model } = bundle;
  const idNames = manifest.ids.map(({ name }) => name);
  checkBundle(manifest);
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: threads });
  const d = manifest.features.length;
  const k = manifest.ids.length;
  const h = manifest.heads.length;
  const masked = manifest.heads.map(({ name }) => manifest.masked_heads.includes(name));
  return {
    bundle,
    heads: manifest.heads.map(({ name }) => name),
    reader: () => new FeatureReader(manifest.features, idNames as IdColumn[]),
    predict: async (features, ids, n) => {
      const out = new Float64Array(n * h);
      for (let start = 0; start < n; start += CHUNK) {
        const size = Math.min(CHUNK, n - start);
        const buckets = new Int32Array(size * k);
        for (let i = 0; i < buckets.length; i++)
          buckets[i] = idBucket(
            ids[start * k + i] as number,
            (manifest.ids[i % k] as { buckets: number }).buckets,
          );
        const feeds: Record<string, ort.Tensor> = {
          features: new ort.Tensor("float32", features.slice(start * d, (start + size) * d), [
            size,
            d,
          ]),
        };
        if (k > 0) feeds.ids = new ort.Tensor("int32", buckets, [size, k]);
        const { outputs } = await session.run(feeds);
        const values = outputs?.data as Float32Array;
        for (let i = 0; i < values.length; i++) {
          const head = i % h;
          out[start * h + i] = masked[head]
            ? 0
            : calibrate(manifest.calibration[head] as Calibration, values[i] as number);
        }
      }
      return out;
    },
    close: () => session.release(),
  };
}
