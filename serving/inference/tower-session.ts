import { InferenceSession, Tensor } from "onnxruntime-node";
import { z } from "zod";
import { RoostError } from "../../errors.ts";
import type { Bundle } from "../../features/bundle.ts";
import {
  POST_TOWER,
  type TowerInputs,
  towerColumns,
  towerIdColumns,
  towerSchemaHash,
  USER_TOWER,
} from "../../features/tower-inputs.ts";
import type { TowerRows } from "../../features/tower-rows.ts";
import { slotTables, towerMatrices } from "../../features/tower-table.ts";

/** Rows of one call: about a millisecond, in which the event loop stands still. */
const ROWS_PER_CALL = 256;
/** Errors come back as exceptions; what onnxruntime prints beside them would bypass the log. */
const QUIET = 4;

/** What a tower's bundle says in its settings about the table of embeddings. */
const TowerSettings = z.object({
  buckets: z.strictObject({
    topic: z.int().min(1),
    language: z.int().min(1),
    author: z.int().min(1),
    post: z.int().min(1),
  }),
});

const INPUTS: Readonly<Record<string, TowerInputs>> = {
  user_tower: USER_TOWER,
  post_tower: POST_TOWER,
};

/** One tower on the calling thread: a viewer takes a tenth of a millisecond, less than a worker would cost. */
export class TowerSession {
  /** Numbers in a vector. */
  readonly dimension: number;
  readonly version: string;
  readonly #session: InferenceSession;
  readonly #tables: ReturnType<typeof slotTables>;
  #running: Promise<unknown> = Promise.resolve();

  private constructor(
    { manifest }: Bundle,
    inputs: TowerInputs,
    settings: z.infer<typeof TowerSettings>,
    session: InferenceSession,
  ) {
    this.dimension = manifest.heads.length;
    this.version = manifest.version;
    this.#session = session;
    this.#tables = slotTables(inputs, settings.buckets);
  }

  /** @throws BAD_BUNDLE when it is no tower, or one trained on other definitions, or does not load */
  static async start(bundle: Bundle, threads = 1): Promise<TowerSession> {
    const { manifest, model } = bundle;
    const refuse = (detail: string): never => {
      throw new RoostError("BAD_BUNDLE", `${manifest.kind} ${manifest.version}: ${detail}`);
    };
    const inputs = INPUTS[manifest.kind] ?? refuse("is no tower");
    if (
      manifest.schema_hash !== towerSchemaHash(inputs) ||
      manifest.features.join() !== towerColumns(inputs).join() ||
      manifest.ids.map(({ name }) => name).join() !== towerIdColumns(inputs).join()
    )
      refuse("was trained on other feature definitions");
    const settings = TowerSettings.safeParse(manifest.settings);
    if (!settings.success) return refuse(z.prettifyError(settings.error));
    const session = await InferenceSession.create(model, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: QUIET,
    }).catch((error: Error) => refuse(error.message));
    return new TowerSession(bundle, inputs, settings.data, session);
  }

  /**
   * Vectors of length 1, row-major [rows.n, dimension].
   * @throws INFERENCE_FAILED when the model does not run
   */
  async run(rows: TowerRows): Promise<Float32Array> {
    const out = new Float32Array(rows.n * this.dimension);
    for (let from = 0; from < rows.n; from += ROWS_PER_CALL) {
      const size = Math.min(ROWS_PER_CALL, rows.n - from);
      const call = this.#call(rows, from, size);
      this.#running = call.catch(() => {});
      out.set(await call, from * this.dimension);
    }
    return out;
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#session.release();
  }

  async #call(rows: TowerRows, from: number, size: number): Promise<Float32Array> {
    const { features, ids } = towerMatrices(rows, this.#tables, from, size);
    try {
      const { outputs } = await this.#session.run(
        {
          features: new Tensor("float32", features, [size, features.length / size]),
          ids: new Tensor("int32", ids, [size, ids.length / size]),
        },
        { logSeverityLevel: QUIET },
      );
      return outputs?.data as Float32Array;
    } catch (error) {
      throw new RoostError("INFERENCE_FAILED", (error as Error).message, error);
    }
  }
}
