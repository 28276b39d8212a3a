import { RoostError } from "../../errors.ts";
import type { Bundle, BundleManifest } from "../../features/bundle.ts";
import type { Inference } from "./inference.ts";
import { type Job, SessionThread } from "./session-thread.ts";
import { checkMatrices } from "./signature.ts";
import { type StartSession, startSession } from "./start-session.ts";

export interface InferencePoolOptions {
  /** Threads with a session each: so many runs at once. */
  readonly workers: number;
  /** Threads within one run. Default 1: on few cores, several runs side by side beat one run on several. */
  readonly threadsPerRun?: number;
  /**
   * Splits a run over idle workers into parts of at least so many rows. Scores do not depend on the split, the models
   * being row by row. Default: never.
   */
  readonly splitRows?: number;
  readonly startSession?: StartSession;
}

/** Runs one bundle's model on worker threads; a worker that dies is replaced, the run that it was in is refused. */
export class InferencePool implements Inference {
  readonly #manifest: BundleManifest;
  readonly #threads: SessionThread[];
  readonly #splitRows: number;
  readonly #queue: Job[] = [];
  #closed = false;

  private constructor({ manifest, model }: Bundle, options: InferencePoolOptions) {
    this.#manifest = manifest;
    this.#splitRows = options.splitRows ?? Number.POSITIVE_INFINITY;
    const settings = { model, threads: options.threadsPerRun ?? 1 };
    this.#threads = Array.from(
      { length: Math.max(1, options.workers) },
      () =>
        new SessionThread(options.startSession ?? startSession, settings, manifest, () =>
          this.#dispatch(),
        ),
    );
  }

  /**
   * Starts the workers and waits until each has loaded the model.
   * @throws BAD_BUNDLE when the model cannot be loaded or does not have the bundle's inputs and output
   */
  static async start(bundle: Bundle, options: InferencePoolOptions): Promise<InferencePool> {
    const pool = new InferencePool(bundle, options);
    const starts = await Promise.allSettled(pool.#threads.map((thread) => thread.started));
    const refused = starts.find((start) => start.status === "rejected");
    if (refused !== undefined) {
      await pool.close();
      throw refused.reason;
    }
    return pool;
  }

  async run(
    features: Float32Array,
    ids: Int32Array,
    n: number,
    signal: AbortSignal,
  ): Promise<Float32Array> {
    signal.throwIfAborted();
    if (this.#closed) throw new RoostError("NOT_READY", "the model was closed");
    checkMatrices(this.#manifest, features, ids, n);
    const d = this.#manifest.features.length;
    const k = this.#manifest.ids.length;
    if (n === 0) return new Float32Array(0);

    const parts = this.#parts(n);
    const answers = await Promise.all(
      Array.from({ length: parts }, (_, part) => {
        const from = Math.floor((part * n) / parts);
        const to = Math.floor(((part + 1) * n) / parts);
        return this.#submit(
          features.subarray(from * d, to * d),
          ids.subarray(from * k, to * k),
          to - from,
          signal,
        );
      }),
    );
    if (answers.length === 1) return answers[0] as Float32Array;
    const outputs = new Float32Array(n * this.#manifest.heads.length);
    let at = 0;
    for (const answer of answers) {
      outputs.set(answer, at);
      at += answer.length;
    }
    return outputs;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue.splice(0))
      job.reject(new RoostError("NOT_READY", "the model was closed"));
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  /** How many parts a run of n rows is split into now. */
  #parts(n: number): number {
    if (n < 2 * this.#splitRows || this.#queue.length > 0) return 1;
    const idle = this.#threads.filter((thread) => thread.free).length;
    return Math.max(1, Math.min(idle, Math.floor(n / this.#splitRows)));
  }

  #submit(
    features: Float32Array,
    ids: Int32Array,
    n: number,
    signal: AbortSignal,
  ): Promise<Float32Array> {
    return new Promise<Float32Array>((resolve, reject) => {
      const onAbort = (): void => {
        job.abandoned = true;
        reject(signal.reason);
      };
      const settled = <T>(settle: (value: T) => void) => {
        return (value: T): void => {
          signal.removeEventListener("abort", onAbort);
          settle(value);
        };
      };
      const job: Job = {
        n,
        features,
        ids,
        abandoned: false,
        resolve: settled(resolve),
        reject: settled(reject),
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#queue.push(job);
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      if (this.#queue[0]?.abandoned) {
        this.#queue.shift();
        continue;
      }
      if (this.#threads.every((thread) => thread.lost)) {
        this.#queue
          .shift()
          ?.reject(new RoostError("INFERENCE_FAILED", "no worker could be started again"));
        continue;
      }
      const free = this.#threads.find((thread) => thread.free);
      if (free === undefined) return;
      free.take(this.#queue.shift() as Job);
    }
  }
}
