import { RoostError } from "../../errors.ts";
import {
  type BundleManifest,
  type Calibration,
  calibrate,
  idBucket,
  writeBundle,
} from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { type OnnxSession, onnxSession } from "../graph/run-onnx.ts";
import type { Fed } from "../graph/run-tfjs.ts";
import type { FitResult } from "./fit.ts";
import type { HeadMetrics } from "./head-metrics.ts";
import type { HeadStatistics } from "./head-statistics.ts";
import { copyFeatures, featureColumns, isWhole } from "./row-columns.ts";

/** Rows per run of the model. */
const CHUNK = 2048;

export type RankerKind = "heavy" | "light" | "past_rates";

export interface PublishOptions {
  /** Hash of the definitions behind `featureNames` and `idNames`. */
  readonly schemaHash: string;
  /** Where the rows come from: a data directory, a data set. */
  readonly source: string;
  /** Put into the manifest instead of the metrics on the validation rows. */
  readonly metrics?: HeadMetrics;
}

/** What a trained model is made of. */
export interface TrainedParts {
  readonly kind: RankerKind;
  /** The inference model: inputs `features` float32 [n, d] and, with ids, `ids` int32 [n, k]; output `outputs` [n, heads]. */
  readonly onnx: Uint8Array;
  readonly featureNames: readonly string[];
  readonly ids: readonly { readonly name: string; readonly buckets: number }[];
  readonly heads: readonly HeadStatistics[];
  readonly calibration: readonly Calibration[];
  /** On the validation rows, which also chose the stopping point and the calibration. */
  readonly metrics: HeadMetrics;
  readonly fit: FitResult;
  readonly seed: number;
  /** Trained scalars of the network, id tables not counted. */
  readonly parameters: number;
  readonly settings: Record<string, unknown>;
  readonly rows: { readonly n: number; readonly fromMs: number; readonly toMs: number };
  /** The rows behind `metrics`. */
  readonly validation: NonNullable<BundleManifest["validation"]>;
  /** What a warm start goes on from. */
  readonly trainingState: Uint8Array;
}

/** A trained ranker: predicts with the very model that it publishes. `close()` it when done. */
export class TrainedModel {
  readonly parts: TrainedParts;
  readonly #session: OnnxSession;

  private constructor(parts: TrainedParts, session: OnnxSession) {
    this.parts = parts;
    this.#session = session;
  }

  static async load(parts: TrainedParts, threads: number): Promise<TrainedModel> {
    return new TrainedModel(parts, await onnxSession(parts.onnx, threads));
  }

  /** The same model with other calibration or metrics; both share one session, so close only one of them. */
  with(changes: Pick<Partial<TrainedParts>, "calibration" | "metrics">): TrainedModel {
    return new TrainedModel({ ...this.parts, ...changes }, this.#session);
  }

  get headNames(): readonly string[] {
    return this.parts.heads.map(({ name }) => name);
  }

  /** Heads without a positive in the training rows. Nothing was learned for them; they are predicted as 0. */
  get maskedHeads(): readonly string[] {
    return this.parts.heads.flatMap(({ name, positives }) => (positives === 0 ? [name] : []));
  }

  /**
   * Calibrated probabilities, or seconds, [rows.n, heads] row-major; 0 for masked heads. Rows may hold more features
   * than the model reads, in any order.
   * @throws BAD_DATASET naming features or ids that the rows lack
   */
  async predict(rows: TrainingRows): Promise<Float32Array> {
    const out = await this.outputs(rows);
    const { heads, calibration } = this.parts;
    for (let h = 0; h < heads.length; h++) {
      const masked = heads[h]?.positives === 0;
      for (let at = h; at < out.length; at += heads.length)
        out[at] = masked ? 0 : calibrate(calibration[h] as Calibration, out[at] as number);
    }
    return out;
  }

  /** The model's outputs before calibration [rows.n, heads]: logits, or seconds. @throws BAD_DATASET */
  async outputs(rows: TrainingRows): Promise<Float32Array> {
    const { featureNames, ids, heads } = this.parts;
    const columns = featureColumns(rows, featureNames);
    const whole = isWhole(rows, columns);
    const idColumns = ids.map(({ name }) => rows.idNames.indexOf(name));
    const absent = ids.filter((_, i) => idColumns[i] === -1).map(({ name }) => name);
    if (absent.length > 0)
      throw new RoostError("BAD_DATASET", `the rows lack the ids ${absent.join(", ")}`);
    const out = new Float32Array(rows.n * heads.length);
    for (let start = 0; start < rows.n; start += CHUNK) {
      const size = Math.min(CHUNK, rows.n - start);
      const features = new Float32Array(size * columns.length);
      const buckets = new Int32Array(size * ids.length);
      for (let i = 0; i < size; i++) {
        copyFeatures(rows, start + i, columns, whole, features, i * columns.length);
        for (let k = 0; k < ids.length; k++) {
          const hash = rows.ids[(start + i) * rows.idNames.length + (idColumns[k] as number)];
          buckets[i * ids.length + k] = idBucket(hash as number, ids[k]?.buckets as number);
        }
      }
      const feeds: Record<string, Fed> = {
        features: { data: features, shape: [size, columns.length] },
        ids: { data: buckets, shape: [size, ids.length] },
      };
      const { outputs } = await this.#session.run(feeds);
      out.set(outputs as Float32Array, start * heads.length);
    }
    return out;
  }

  /** Writes the bundle atomically into `dir`; readers see the old one or this one. Returns its manifest. */
  async publish(dir: string, options: PublishOptions): Promise<BundleManifest> {
    return writeBundle(dir, this.parts.onnx, this.manifest(options));
  }

  /** What `bundle.json` says of this model. */
  manifest(options: PublishOptions): Omit<BundleManifest, "version" | "checksum"> {
    const { parts } = this;
    return {
      format: 1,
      kind: parts.kind,
      features: [...parts.featureNames],
      schema_hash: options.schemaHash,
      ids: parts.ids.map(({ name, buckets }) => ({ name, buckets })),
      heads: parts.heads.map(({ name, kind }) => ({ name, kind })),
      calibration: [...parts.calibration],
      masked_heads: [...this.maskedHeads],
      metrics: options.metrics ?? parts.metrics,
      data: {
        source: options.source,
        from_ms: parts.rows.fromMs,
        to_ms: parts.rows.toMs,
        rows: parts.rows.n,
        positives: Object.fromEntries(parts.heads.map((head) => [head.name, head.positives])),
      },
      validation: parts.validation,
      seed: parts.seed,
      parameters: parts.parameters,
      settings: parts.settings,
    };
  }

  close(): Promise<void> {
    return this.#session.release();
  }
}
