import type { Bundle } from "../../features/bundle.ts";
import type { Inference } from "./inference.ts";
import { InlineSession } from "./inline-session.ts";

/** The longest that the calling thread runs a model at once: about as long as computing the light stage's features. */
const OWN_MS = 2.5;
/** Share of a run that the calling thread takes: a little less than half, though the worker begins earlier. */
const OWN_SHARE = 0.45;
/** Fewer rows are not worth a second call. */
const MIN_OWN_ROWS = 50;

export interface SharedInferenceOptions {
  /** The model on one worker thread. */
  readonly worker: Inference;
  /** What the worker takes for a row, in milliseconds. */
  readonly msPerRow: number;
  /** Whether the request that runs is the only one that holds the model. */
  readonly alone: () => boolean;
}

/** What the worker has begun with of a run. */
interface Begun {
  readonly workersRows: number;
  readonly outputs: Promise<Float32Array>;
  readonly controller: AbortController;
}

/**
 * A model on a worker thread, with the calling thread helping: a request that is the only one would wait for the worker on
 * an idle thread, so it runs the last rows itself. With others under way all rows go to the worker. Scores do not depend
 * on who ran a row.
 */
export class SharedInference implements Inference {
  readonly #worker: Inference;
  readonly #alone: () => boolean;
  readonly #own: InlineSession;
  readonly #widths: { readonly d: number; readonly k: number };
  /** Rows that the calling thread takes at the most. */
  readonly #ownRows: number;
  /** By the features of a run. */
  readonly #begun = new WeakMap<Float32Array, Begun>();

  private constructor(
    { manifest }: Bundle,
    { worker, alone }: SharedInferenceOptions,
    own: InlineSession,
    ownRows: number,
  ) {
    this.#widths = { d: manifest.features.length, k: manifest.ids.length };
    this.#worker = worker;
    this.#alone = alone;
    this.#own = own;
    this.#ownRows = ownRows;
  }

  /**
   * Loads the model on the calling thread too; the worker alone where the model is too slow for that.
   * @throws BAD_BUNDLE when it cannot be loaded
   */
  static async start(bundle: Bundle, options: SharedInferenceOptions): Promise<Inference> {
    const ownRows = Math.floor(OWN_MS / options.msPerRow);
    if (ownRows < MIN_OWN_ROWS) return options.worker;
    return new SharedInference(bundle, options, await InlineSession.start(bundle), ownRows);
  }

  offer(
    features: Float32Array,
    ids: Int32Array,
    n: number,
    ready: number,
    signal: AbortSignal,
  ): void {
    const workersRows = this.#workersRows(n);
    if (workersRows === n || ready < workersRows || this.#begun.has(features)) return;
    const controller = new AbortController();
    const outputs = abortedBy(signal, controller, () =>
      this.#runWorker(features, ids, workersRows, controller.signal),
    );
    // Nobody may ever ask for them.
    outputs.catch(() => {});
    this.#begun.set(features, { workersRows, outputs, controller });
  }

  async run(
    features: Float32Array,
    ids: Int32Array,
    n: number,
    signal: AbortSignal,
  ): Promise<Float32Array> {
    const begun = this.#begun.get(features);
    const workersRows = begun?.workersRows ?? this.#workersRows(n);
    if (workersRows === n) return this.#worker.run(features, ids, n, signal);
    const { d, k } = this.#widths;
    const [first, own] = await Promise.all([
      begun === undefined
        ? this.#runWorker(features, ids, workersRows, signal)
        : abortedBy(signal, begun.controller, () => begun.outputs),
      this.#own.run(
        features.subarray(workersRows * d),
        ids.subarray(workersRows * k),
        n - workersRows,
        signal,
      ),
    ]);
    const outputs = new Float32Array(first.length + own.length);
    outputs.set(first);
    outputs.set(own, first.length);
    return outputs;
  }

  /** How many rows of a run the worker takes: the first ones, or all. */
  #workersRows(n: number): number {
    const own = Math.min(Math.floor(OWN_SHARE * n), this.#ownRows);
    return own < MIN_OWN_ROWS || !this.#alone() ? n : n - own;
  }

  #runWorker(
    features: Float32Array,
    ids: Int32Array,
    rows: number,
    signal: AbortSignal,
  ): Promise<Float32Array> {
    const { d, k } = this.#widths;
    return this.#worker.run(
      features.subarray(0, rows * d),
      ids.subarray(0, rows * k),
      rows,
      signal,
    );
  }

  async close(): Promise<void> {
    await Promise.all([this.#worker.close(), this.#own.close()]);
  }
}

/** `work`, during which the signal's abort is handed on. */
async function abortedBy<T>(
  signal: AbortSignal,
  controller: AbortController,
  work: () => Promise<T>,
): Promise<T> {
  const onAbort = (): void => controller.abort(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await work();
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
