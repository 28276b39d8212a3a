import { InferenceSession, Tensor } from "onnxruntime-node";
import { RoostError } from "../../errors.ts";
import type { Bundle, BundleManifest } from "../../features/bundle.ts";
import type { Inference } from "./inference.ts";
import { checkMatrices, checkOutputs, signatureProblem } from "./signature.ts";

/** Rows of one call: so many take a small model about a millisecond, in which the event loop stands still. */
const ROWS_PER_CALL = 2048;
/** Errors come back as exceptions; what onnxruntime prints beside them would bypass the log. */
const QUIET = 4;

/**
 * A small model on the calling thread: for one that answers sooner than its rows could be handed to a worker. It yields
 * between calls of 2,048 rows.
 */
export class InlineSession implements Inference {
  readonly #manifest: BundleManifest;
  readonly #session: InferenceSession;
  #running = 0;
  #closed = false;
  #released = false;

  private constructor(manifest: BundleManifest, session: InferenceSession) {
    this.#manifest = manifest;
    this.#session = session;
  }

  /** @throws BAD_BUNDLE when the model cannot be loaded or does not have the bundle's inputs and output */
  static async start({ manifest, model }: Bundle): Promise<InlineSession> {
    const refuse = (detail: string): never => {
      throw new RoostError("BAD_BUNDLE", `${manifest.kind} ${manifest.version}: ${detail}`);
    };
    const session = await InferenceSession.create(model, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: QUIET,
    }).catch((error: Error) => refuse(error.message));
    const problem = signatureProblem(session.inputNames, session.outputNames, manifest);
    if (problem !== undefined) {
      await session.release();
      refuse(problem);
    }
    return new InlineSession(manifest, session);
  }

  async run(
    features: Float32Array,
    ids: Int32Array,
    n: number,
    signal: AbortSignal,
  ): Promise<Float32Array> {
    const d = this.#manifest.features.length;
    const k = this.#manifest.ids.length;
    const width = this.#manifest.heads.length;
    signal.throwIfAborted();
    checkMatrices(this.#manifest, features, ids, n);
    const outputs = new Float32Array(n * width);
    for (let from = 0; from < n; from += ROWS_PER_CALL) {
      signal.throwIfAborted();
      const to = Math.min(n, from + ROWS_PER_CALL);
      const feeds: Record<string, Tensor> = {
        features: new Tensor("float32", features.subarray(from * d, to * d), [to - from, d]),
      };
      if (k > 0) feeds.ids = new Tensor("int32", ids.subarray(from * k, to * k), [to - from, k]);
      const answer = await this.#call(feeds);
      checkOutputs(this.#manifest, answer.length, to - from);
      outputs.set(answer, from * width);
    }
    return outputs;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#releaseIfIdle();
  }

  async #releaseIfIdle(): Promise<void> {
    if (!this.#closed || this.#released || this.#running > 0) return;
    this.#released = true;
    await this.#session.release();
  }

  async #call(feeds: Record<string, Tensor>): Promise<Float32Array> {
    if (this.#closed) throw new RoostError("NOT_READY", "the model was closed");
    this.#running++;
    try {
      const { outputs } = await this.#session.run(feeds, { logSeverityLevel: QUIET });
      return outputs?.data as Float32Array;
    } catch (error) {
      throw new RoostError("INFERENCE_FAILED", (error as Error).message, error);
    } finally {
      this.#running--;
      await this.#releaseIfIdle();
    }
  }
}
