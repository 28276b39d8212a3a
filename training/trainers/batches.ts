import { random } from "../../datasets/random.ts";
import type { TrainingRows } from "../../features/rows.ts";
import type { Fed } from "../graph/run-tfjs.ts";
import type { IdEmbeddings } from "../models/id-embeddings.ts";
import { AMOUNT_CAP, AMOUNT_UNIT, type HeadKind } from "../models/multi-head-loss.ts";
import { copyFeatures, isWhole } from "./row-columns.ts";

/** Row numbers 0…n − 1 in the order of one pass; a function of seed and pass only. */
export function shuffledOrder(n: number, seed: number, pass: number): Int32Array {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  const draws = random(seed, "order", pass);
  for (let i = n - 1; i > 0; i--) {
    const j = draws.below(i + 1);
    const held = order[i] as number;
    order[i] = order[j] as number;
    order[j] = held;
  }
  return order;
}

export interface BatchOptions {
  readonly columns: readonly number[];
  readonly kinds: readonly HeadKind[];
  /** Loss weight per head; 0 masks it. */
  readonly headWeights: Float32Array;
  /** Share of each head's negatives that gets a weight, drawn anew at each step. Default: all. */
  readonly negatives?: Float32Array | undefined;
  readonly embeddings?: IdEmbeddings | undefined;
  /** Width and drop share of the dropout input, if the graph has one. */
  readonly dropout?: { readonly width: number; readonly rate: number } | undefined;
}

/** Random 0 / 1/(1 − rate) that dropout masks are cut from: cheaper by far than a draw per element. */
const DROPOUT_POOL = 1 << 16;

/** Reusable buffers of one minibatch of `size` rows, as feeds of a training step. */
export class Batch {
  readonly size: number;
  readonly feeds: Record<string, Fed>;
  /** Table rows of the ids [size, id columns]; −1 = missing or dropped. */
  readonly idRows: Int32Array;
  readonly #options: BatchOptions;
  readonly #features: Float32Array;
  readonly #labels: Float32Array;
  readonly #weights: Float32Array;
  readonly #embedded: Float32Array;
  readonly #mask: Float32Array;
  readonly #pool: Float32Array;

  constructor(size: number, options: BatchOptions, seed: number) {
    const { columns, kinds, embeddings, dropout } = options;
    this.size = size;
    this.#options = options;
    this.#features = new Float32Array(size * columns.length);
    this.#labels = new Float32Array(size * kinds.length);
    this.#weights = new Float32Array(size * kinds.length);
    this.idRows = new Int32Array(size * (embeddings?.columns ?? 0));
    this.#embedded = new Float32Array(size * (embeddings?.outputWidth ?? 0));
    this.#mask = new Float32Array(size * (dropout?.width ?? 0));
    this.#pool = new Float32Array(dropout ? DROPOUT_POOL + dropout.width : 0);
    if (dropout) {
      const draws = random(seed, "dropout pool");
      for (let i = 0; i < this.#pool.length; i++)
        this.#pool[i] = draws.next() < dropout.rate ? 0 : 1 / (1 - dropout.rate);
    }
    this.feeds = {
      features: { data: this.#features, shape: [size, columns.length] },
      labels: { data: this.#labels, shape: [size, kinds.length] },
      label_weights: { data: this.#weights, shape: [size, kinds.length] },
      ...(embeddings && {
        embedded: { data: this.#embedded, shape: [size, embeddings.outputWidth] },
      }),
      ...(dropout && { dropout: { data: this.#mask, shape: [size, dropout.width] } }),
    };
  }

  /**
   * Fills the buffers with rows `order[from … from + size)`. Masked labels get weight 0; weights are divided by the
   * batch's rows, so the loss is a mean. What is random depends on seed and step only.
   */
  fill(rows: TrainingRows, order: Int32Array, from: number, seed: number, step: number): void {
    const { columns, kinds, headWeights, negatives, embeddings, dropout } = this.#options;
    const [d, heads, ids] = [columns.length, kinds.length, rows.idNames.length];
    const whole = isWhole(rows, columns);
    const draws = random(seed, "step", step);
    const kept = random(seed, "negatives", step);
    for (let i = 0; i < this.size; i++) {
      const row = order[from + i] as number;
      copyFeatures(rows, row, columns, whole, this.#features, i * d);
      const rowWeight = (rows.weight[row] as number) / this.size;
      for (let h = 0; h < heads; h++) {
        const label = rows.labels[row * heads + h] as number;
        const at = i * heads + h;
        const observed = !Number.isNaN(label);
        const share = negatives?.[h] ?? 1;
        const fed = observed && (share === 1 || label > 0 || kept.next() < share);
        this.#weights[at] = fed ? rowWeight * (headWeights[h] as number) : 0;
        if (!observed) this.#labels[at] = 0;
        else if (kinds[h] === "continuous")
          this.#labels[at] = Math.min(label, AMOUNT_CAP) / AMOUNT_UNIT;
        else this.#labels[at] = label;
      }
      embeddings?.rows(rows.ids, row * ids, this.idRows, i * ids, draws);
      if (dropout) {
        const cut = draws.below(DROPOUT_POOL);
        this.#mask.set(this.#pool.subarray(cut, cut + dropout.width), i * dropout.width);
      }
    }
    embeddings?.gather(this.idRows, this.#embedded);
  }
}
