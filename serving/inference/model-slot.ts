import { RoostError } from "../../errors.ts";
import type { Bundle, BundleManifest } from "../../features/bundle.ts";
import type { Inference, ServedModel } from "./inference.ts";
import { InferencePool, type InferencePoolOptions } from "./inference-pool.ts";
import { InlineSession } from "./inline-session.ts";
import { SharedInference } from "./shared-inference.ts";

/** A model that stays until `release` is called, also when another takes its place meanwhile. */
export interface ModelLease extends ServedModel {
  release(): void;
}

interface Held extends ServedModel {
  leases: number;
  retired: boolean;
}

export interface ModelSlotOptions extends InferencePoolOptions {
  /** Models of at most so many parameters run on the calling thread. Default 0: none. */
  readonly inlineParameters?: number;
}

/** Rows of the run that a new model makes before it takes over: memory is laid out and code is warm by then. */
const WARM_UP_ROWS = 500;
/** A small model whose fastest run takes longer than this would hold up other requests: it goes to a worker too. */
const INLINE_MS = 5;
const TIMED_RUNS = 5;

/**
 * The place of one model. A new bundle is loaded by new workers beside the old ones and takes over when it has answered
 * once; the old workers end when the last request that began with them is done. A worker's session is never reloaded in
 * place: onnxruntime has been reported to leak then, which models on the calling thread, small ones and those that it shares,
 * are left to.
 */
export class ModelSlot {
  readonly #options: ModelSlotOptions;
  #current: Held | undefined;
  #replacing: Promise<unknown> = Promise.resolve();
  readonly #closing = new Set<Promise<void>>();
  /** Of the model in place and of those that it has taken the place of. */
  #leases = 0;

  constructor(options: ModelSlotOptions) {
    this.#options = options;
  }

  /** The manifest of the model in place. */
  get manifest(): BundleManifest | undefined {
    return this.#current?.manifest;
  }

  /** The model in place, held for one request; undefined when there is none. */
  lease(): ModelLease | undefined {
    const held = this.#current;
    if (held === undefined) return undefined;
    held.leases++;
    this.#leases++;
    let released = false;
    return {
      manifest: held.manifest,
      inference: held.inference,
      release: () => {
        if (released) return;
        released = true;
        held.leases--;
        this.#leases--;
        this.#endIfUnused(held);
      },
    };
  }

  /**
   * Puts a bundle's model in place. One replacement runs at a time; a version that is in place already is left alone.
   * @throws BAD_BUNDLE or INFERENCE_FAILED when the model does not load, run, or give a finite number a head, with or
   * without features: the old one stays
   */
  replace(bundle: Bundle): Promise<void> {
    const replaced = this.#replacing.then(() => this.#replace(bundle));
    this.#replacing = replaced.catch(() => {});
    return replaced;
  }

  /** Waits for a replacement under way and ends all workers, also those of requests still under way. */
  async close(): Promise<void> {
    await this.#replacing;
    const held = this.#current;
    this.#current = undefined;
    if (held !== undefined) await held.inference.close();
    await Promise.all(this.#closing);
  }

  async #replace(bundle: Bundle): Promise<void> {
    const { manifest } = bundle;
    if (this.#current?.manifest.version === manifest.version) return;
    const inference = (await this.#inline(bundle)) ?? (await this.#pool(bundle));
    const old = this.#current;
    this.#current = { manifest, inference, leases: 0, retired: false };
    if (old === undefined) return;
    old.retired = true;
    this.#endIfUnused(old);
  }

  /** The model on this thread; undefined when it has too many parameters or, whatever their number, takes too long. */
  async #inline(bundle: Bundle): Promise<Inference | undefined> {
    const { manifest } = bundle;
    if (manifest.parameters > (this.#options.inlineParameters ?? 0)) return undefined;
    const session = await InlineSession.start(bundle);
    try {
      if ((await timed(session, manifest)) <= INLINE_MS) return session;
    } catch (error) {
      await session.close();
      throw error;
    }
    await session.close();
    return undefined;
  }

  async #pool(bundle: Bundle): Promise<Inference> {
    const { workers, threadsPerRun = 1 } = this.#options;
    const pool = await InferencePool.start(bundle, this.#options);
    try {
      await warmUp(pool, bundle.manifest, Math.max(1, workers));
      // With more threads than that, there is none to help.
      if (workers > 1 || threadsPerRun > 1) return pool;
      return await SharedInference.start(bundle, {
        worker: pool,
        msPerRow: (await timed(pool, bundle.manifest)) / WARM_UP_ROWS,
        alone: () => this.#leases === 1,
      });
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  #endIfUnused(held: Held): void {
    if (!held.retired || held.leases > 0) return;
    const closing = held.inference.close();
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing));
  }
}

/** The milliseconds of the fastest of a few runs of WARM_UP_ROWS rows. */
async function timed(inference: Inference, manifest: BundleManifest): Promise<number> {
  let fastestMs = Number.POSITIVE_INFINITY;
  for (let run = 0; run < TIMED_RUNS; run++) {
    const startedAt = performance.now();
    await warmUp(inference, manifest, 1);
    fastestMs = Math.min(fastestMs, performance.now() - startedAt);
  }
  return fastestMs;
}

/**
 * One run on each worker: zeros in the first half of the rows, nothing known in the second.
 * @throws BAD_BUNDLE when an answer is not a finite number for every row and head
 */
async function warmUp(
  inference: Inference,
  manifest: BundleManifest,
  workers: number,
): Promise<void> {
  const { signal } = new AbortController();
  const features = new Float32Array(WARM_UP_ROWS * manifest.features.length);
  features.fill(Number.NaN, features.length / 2);
  const ids = new Int32Array(WARM_UP_ROWS * manifest.ids.length);
  const refuse = (problem: string): never => {
    throw new RoostError("BAD_BUNDLE", `${manifest.kind} ${manifest.version}: ${problem}`);
  };
  const answers = await Promise.all(
    Array.from({ length: workers }, () => inference.run(features, ids, WARM_UP_ROWS, signal)),
  ).catch((error: unknown) => {
    if (error instanceof RoostError && error.code === "COLUMN_LENGTH") refuse(error.detail);
    throw error;
  });
  for (const outputs of answers) {
    const problem = outputProblem(outputs, manifest);
    if (problem !== undefined) refuse(problem);
  }
}

function outputProblem(
  outputs: Float32Array,
  { heads }: Pick<BundleManifest, "heads">,
): string | undefined {
  const width = heads.length;
  const at = outputs.findIndex((value) => !Number.isFinite(value));
  if (at === -1) return undefined;
  const given = at < outputs.length / 2 ? "are 0" : "are missing";
  return `${heads[at % width]?.name} is ${outputs[at]} when all features ${given}`;
}
