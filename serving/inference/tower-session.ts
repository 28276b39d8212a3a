import { RoostError } from "../../errors.ts";
import type { Tower } from "../../features/tower-bundle.ts";
import { TowerRows } from "../../features/tower-rows.ts";
import { slotTables, towerMatrices } from "../../features/tower-table.ts";
import type { Inference } from "./inference.ts";
import { InferencePool, type InferencePoolOptions } from "./inference-pool.ts";
import { InlineSession } from "./inline-session.ts";

/** Rows of one call: about a millisecond. */
const ROWS_PER_CALL = 256;
/** How far from 1 a length may be: the towers normalise in float32. */
const LENGTH_TOLERANCE = 1e-3;

export interface TowerSessionOptions extends Omit<InferencePoolOptions, "workers" | "splitRows"> {
  /** Towers of at most so many dense parameters run on the calling thread. Default 0: none. */
  readonly inlineParameters?: number;
}

/** One tower that answers: a small one on the calling thread, a larger one in a worker of its own. */
export class TowerSession {
  /** Numbers in a vector. */
  readonly dimension: number;
  readonly inline: boolean;
  readonly #inference: Inference;
  readonly #tables: ReturnType<typeof slotTables>;

  private constructor({ bundle, inputs, buckets }: Tower, inference: Inference, inline: boolean) {
    this.dimension = bundle.manifest.heads.length;
    this.inline = inline;
    this.#inference = inference;
    this.#tables = slotTables(inputs, buckets);
  }

  /** @throws BAD_BUNDLE when the tower does not load, or does not give a vector of length 1 where nothing is known */
  static async start(
    tower: Tower,
    { inlineParameters = 0, ...pool }: TowerSessionOptions = {},
  ): Promise<TowerSession> {
    const inline = tower.denseParameters <= inlineParameters;
    const inference = inline
      ? await InlineSession.start(tower.bundle)
      : await InferencePool.start(tower.bundle, { ...pool, workers: 1 });
    const session = new TowerSession(tower, inference, inline);
    try {
      await session.#check(tower);
    } catch (error) {
      await session.close();
      throw error;
    }
    return session;
  }

  /**
   * Vectors of length 1, row-major [rows.n, dimension]. The rows of each call are read before it is made.
   * @throws INFERENCE_FAILED when the model does not run, NOT_READY when the session is closed, the signal's reason
   */
  async run(rows: TowerRows, signal = NEVER): Promise<Float32Array> {
    const out = new Float32Array(rows.n * this.dimension);
    for (let from = 0; from < rows.n; from += ROWS_PER_CALL) {
      const size = Math.min(ROWS_PER_CALL, rows.n - from);
      const { features, ids } = towerMatrices(rows, this.#tables, from, size);
      out.set(await this.#inference.run(features, ids, size, signal), from * this.dimension);
    }
    return out;
  }

  close(): Promise<void> {
    return this.#inference.close();
  }

  /** Lets the model answer once, so that a bad one is refused and the first request finds it warm. */
  async #check({ bundle: { manifest }, inputs }: Tower): Promise<void> {
    const rows = new TowerRows(inputs, 1);
    rows.add();
    rows.features.fill(Number.NaN);
    const length = Math.hypot(...(await this.run(rows)));
    if (!(Math.abs(length - 1) < LENGTH_TOLERANCE))
      throw new RoostError(
        "BAD_BUNDLE",
        `${manifest.kind} ${manifest.version}: a vector of length ${length}, not 1, when all features are missing`,
      );
  }
}

const NEVER = new AbortController().signal;
