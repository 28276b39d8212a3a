import type { Random } from "../../datasets/random.ts";
import type { Bag, TowerInputs } from "../../features/tower-inputs.ts";
import type { TowerRows } from "../../features/tower-rows.ts";
import { slotTables, type TowerBuckets, tableRows, towerRow } from "../../features/tower-table.ts";
import { ops } from "../graph/ops.ts";
import { input, type Value } from "../graph/value.ts";
import { RowAdagrad, type RowAdagradOptions } from "../optimisers/row-adagrad.ts";

export interface HashedBagsOptions extends RowAdagradOptions {
  readonly buckets: TowerBuckets;
  readonly width: number;
}

/** Length of the first rows of topics and languages, which are few and always seen. */
const FIRST_LENGTH = 0.7;

/**
 * The embeddings that both towers share, one table [rows, width] kept outside the graph: an id is the sum of two hashed
 * rows, a bag the weighted sum of its ids. A training step is fed the pooled bags and returns their gradients. Rows of
 * authors and posts start at 0, so that an id which training did not see adds nothing.
 */
export class HashedBags {
  readonly optimiser: RowAdagrad;
  readonly options: HashedBagsOptions;

  constructor(options: HashedBagsOptions, random: Random) {
    this.options = options;
    const table = new Float32Array(tableRows(options.buckets) * options.width);
    const dense = 1 + options.buckets.topic + options.buckets.language;
    for (let i = options.width; i < dense * options.width; i++)
      table[i] = (FIRST_LENGTH / Math.sqrt(options.width)) * random.normal();
    this.optimiser = new RowAdagrad(table, options.width, options);
  }

  get table(): Float32Array {
    return this.optimiser.table;
  }

  /** Shape of the table. */
  get shape(): [number, number] {
    return [tableRows(this.options.buckets), this.options.width];
  }

  /**
   * The pooled bags [n, bags · width] as an inference graph computes them from `ids` int32 [n, 2 · slots] (two table rows
   * an entry) and the entries' weights [n, slots].
   */
  pooled({ bags }: TowerInputs, table: Value, weights: Value): Value {
    const { width } = this.options;
    const slots = weights.shape[1] as number;
    const ids = input("ids", ["n", 2 * slots], "int32");
    const rows = ops.reshape(ops.gather(table, ids), ["n", slots, 2, width]);
    const entries = ops.reduceSum(rows, [2]); // [n, slots, width]
    const weighted = ops.mul(entries, ops.reshape(weights, ["n", slots, 1]));
    const parts = ops.split(
      weighted,
      bags.map(({ slots: size }) => size),
      1,
    );
    return ops.concat(
      parts.map((part) => ops.reduceSum(part, [1])),
      1,
    ); // [n, bags · width]
  }
}

/**
 * The bags of one minibatch: pools rows, keeps which entries went in with which weight, and turns the gradient of the
 * pooled bags into that of table rows.
 */
export class PooledBatch {
  readonly pooled: Float32Array;
  readonly #bags: readonly Bag[];
  readonly #first: Int32Array;
  readonly #size: Int32Array;
  readonly #embeddings: HashedBags;
  /** Entries of the batch: a table row (two for each id), place of its bag in `pooled`, weight; the first `#count` count. */
  readonly #rows: Int32Array;
  readonly #places: Int32Array;
  readonly #weights: Float32Array;
  #count = 0;
  #gradients = new Float32Array(0);

  constructor(inputs: TowerInputs, embeddings: HashedBags, size: number) {
    this.#bags = inputs.bags;
    this.#embeddings = embeddings;
    const { first, size: sizes } = slotTables(inputs, embeddings.options.buckets);
    this.#first = first;
    this.#size = sizes;
    this.pooled = new Float32Array(size * inputs.bags.length * embeddings.options.width);
    const most = size * first.length * 2;
    this.#rows = new Int32Array(most);
    this.#places = new Int32Array(most);
    this.#weights = new Float32Array(most);
  }

  clear(): void {
    this.pooled.fill(0);
    this.#count = 0;
  }

  /** Pools row `from` of `rows` into row `to`; bags for which `dropped` holds are left empty. */
  fill(rows: TowerRows, from: number, to: number, dropped: (bag: number) => boolean): void {
    const { width } = this.#embeddings.options;
    const { table } = this.#embeddings;
    const { pooled } = this;
    let count = this.#count;
    let slot = 0;
    for (let b = 0; b < this.#bags.length; b++) {
      const end = slot + (this.#bags[b] as Bag).slots;
      if (dropped(b)) {
        slot = end;
        continue;
      }
      const place = (to * this.#bags.length + b) * width;
      for (; slot < end; slot++) {
        const hash = rows.hashes[from * rows.slots + slot] as number;
        if (hash === 0) continue;
        const weight = rows.weights[from * rows.slots + slot] as number;
        for (const which of [0, 1] as const) {
          const row = towerRow(
            hash,
            this.#first[slot] as number,
            this.#size[slot] as number,
            which,
          );
          this.#rows[count] = row;
          this.#places[count] = place;
          this.#weights[count] = weight;
          count++;
          for (let j = 0, at = row * width; j < width; j++)
            pooled[place + j] = (pooled[place + j] as number) + weight * (table[at + j] as number);
        }
      }
    }
    this.#count = count;
  }

  /** Table rows of the batch's entries and their gradients [entries, width], given that of `pooled`; until the next call. */
  gradients(pooled: Float32Array): { rows: Int32Array; gradients: Float32Array } {
    const { width } = this.#embeddings.options;
    const count = this.#count;
    if (this.#gradients.length < count * width) this.#gradients = new Float32Array(count * width);
    const gradients = this.#gradients;
    for (let e = 0; e < count; e++) {
      const place = this.#places[e] as number;
      const weight = this.#weights[e] as number;
      for (let j = 0; j < width; j++)
        gradients[e * width + j] = weight * (pooled[place + j] as number);
    }
    return { rows: this.#rows.subarray(0, count), gradients: gradients.subarray(0, count * width) };
  }
}
