import type { BundleManifest } from "../../features/bundle.ts";

/** Runs one model. */
export interface Inference {
  /**
   * Raw outputs `[n, heads]` for features `[n, d]` (NaN = missing) and id buckets `[n, k]`, row-major, in the bundle's
   * order. The arrays are read until the answer settles: they are not to be changed before.
   * @throws COLUMN_LENGTH when a matrix does not fit the model; INFERENCE_FAILED when the model or its worker fails;
   * NOT_READY when it is closed; the signal's reason when it aborts.
   */
  run(
    features: Float32Array,
    ids: Int32Array,
    n: number,
    signal: AbortSignal,
  ): Promise<Float32Array>;
  /**
   * Says that the first `ready` rows of a run to come stand in its matrices, which are as long as n rows and are handed to
   * `run` as they are: it may begin with those, which is work for nothing when the run never comes.
   */
  offer?(
    features: Float32Array,
    ids: Int32Array,
    n: number,
    ready: number,
    signal: AbortSignal,
  ): void;
  /** Ends the workers; runs under way are refused with NOT_READY. */
  close(): Promise<void>;
}

/** A model that answers, and what its outputs mean. */
export interface ServedModel {
  readonly manifest: BundleManifest;
  readonly inference: Inference;
}
