import type { Bundle } from "../../features/bundle.ts";
import type { Inference } from "./inference.ts";
import { InlineSession } from "./inline-session.ts";

/** The longest that the calling thread runs a model at once: about as long as computing the light stage's features. */
const OWN_MS = 2.5;
/** Of what would divide a run evenly between all threads: workers begin while the last rows are made. */
const OWN_SHARE = 0.9;
/** Fewer rows are not worth a second call. */
const MIN_OWN_ROWS = 50;

export interface SharedInferenceOptions {
  /** The model on worker threads. */
  readonly pool: Inference;
  /** How many of them there are. */
  readonly workers: number;
  /** Whether the request that runs is the only one under way. */
  readonly alone: () => boolean;
}

/**
 * A model on worker threads, with the calling thread helping: while a request is the only one under way its thread would
 * wait for the worker, so it runs part of the rows itself. With others under way all rows go to the workers. Scores do not
 * depend on who ran a row.
 */
export class SharedInference implements Inference {
  readonly #options: SharedInferenceOptions;
  readonly #own: InlineSession;
  readonly #widths: { readonly d: number; readonly k: number };
  /** Rows that the calling thread takes at the most. */
  readonly #ownRows: number;
  /** By the features of a run: what the workers have begun with of it. */
  readonly #begun = new WeakMap<
    Float32Array,
    { readonly rows: number; readonly outputs: Promise<Float32Array> }
  >();

  private constructor(
    { manifest }: Bundle,
    options: SharedInferenceOptions,
    own: InlineSession,
    ownRows: number,
  ) {
    this.#widths = { d: manifest.features.length, k: manifest.ids.length };
    this.#options = options;
    this.#own = own;
    this.#ownRows = ownRows;
  }

  /**
   * Loads the model on the calling thread and times it; the pool alone where the model is too slow for that.
   * @param time runs the model on some rows once. @returns milliseconds a row
   */
  static async start(
    bundle: Bundle,
    options: SharedInferenceOptions,
    time: (session: InlineSession) => Promise<number>,
  ): Promise<Inference> {
    const own = await InlineSession.start(bundle);
    let ownRows = 0;
    try {
      ownRows = Math.floor(OWN_MS / (await time(own)));
    } finally {
      if (ownRows < MIN_OWN_ROWS) await own.close();
    }
    return ownRows < MIN_OWN_ROWS
      ? options.pool
      : new SharedInference(bundle, options, own, ownRows);
  }

  offer(
    features: Float32Array,
    ids: Int32Array,
    n: number,
    ready: number,
    signal: AbortSignal,
  ): void {
    const rows = this.#workersRows(n);
    if (rows === n || ready < rows || this.#begun.has(features)) return;
    const outputs = this.#runWorkers(features, ids, rows, signal);
    // Nobody may ever ask for them.
    outputs.catch(() => {});
    this.#begun.set(features, { rows, outputs });
  }

  async run(
    features: Float32Array,
    ids: Int32Array,
    n: number,
    signal: AbortSignal,
  ): Promise<Float32Array> {
    const begun = this.#begun.get(features);
    const rows = begun?.rows ?? this.#workersRows(n);
    if (rows === n) return this.#options.pool.run(features, ids, n, signal);
    const { d, k } = this.#widths;
    const [first, own] = await Promise.all([
      begun?.outputs ?? this.#runWorkers(features, ids, rows, signal),
      this.#own.run(features.subarray(rows * d), ids.subarray(rows * k), n - rows, signal),
    ]);
    const outputs = new Float32Array(first.length + own.length);
    outputs.set(first);
    outputs.set(own, first.length);
    return outputs;
  }

  /** How many rows of a run the workers take: the first ones, or all. */
  #workersRows(n: number): number {
    const { workers, alone } = this.#options;
    const own = Math.min(Math.floor((OWN_SHARE * n) / (workers + 1)), this.#ownRows);
    return own < MIN_OWN_ROWS || !alone() ? n : n - own;
  }

  #runWorkers(
    features: Float32Array,
    ids: Int32Array,
    rows: number,
    signal: AbortSignal,
  ): Promise<Float32Array> {
    const { d, k } = this.#widths;
    return this.#options.pool.run(
      features.subarray(0, rows * d),
      ids.subarray(0, rows * k),
      rows,
      signal,
    );
  }

  async close(): Promise<void> {
    await Promise.all([this.#options.pool.close(), this.#own.close()]);
  }
}
