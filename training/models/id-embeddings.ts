import type { Random } from "../../datasets/random.ts";
import { idBucket } from "../../features/bundle.ts";
import { ops } from "../graph/ops.ts";
import { constant, input, type Value } from "../graph/value.ts";
import { RowAdagrad, type RowAdagradOptions } from "../optimisers/row-adagrad.ts";

export interface IdEmbeddingOptions extends RowAdagradOptions {
  /** Rows of each id's table, the row of missing ids included. */
  readonly buckets: number;
  readonly width: number;
  /** Share of ids read as missing while training, so that the model does not come to rely on having seen them. */
  readonly dropout: number;
}

/**
 * Hashed embeddings of the id columns, all in one table [columns · buckets, width] kept outside the graph: a training
 * step is fed the gathered rows and returns their gradient. Row 0 of each column (missing, dropped, never seen) is 0 and
 * is never updated; the others start at 0 too, so an id that training did not see counts as missing.
 */
export class IdEmbeddings {
  readonly optimiser: RowAdagrad;
  readonly columns: number;
  readonly options: IdEmbeddingOptions;

  constructor(columns: number, options: IdEmbeddingOptions) {
    this.columns = columns;
    this.options = options;
    const table = new Float32Array(columns * options.buckets * options.width);
    this.optimiser = new RowAdagrad(table, options.width, options);
  }

  /** Columns · width: what the model reads per row. */
  get outputWidth(): number {
    return this.columns * this.options.width;
  }

  /** The input of a training graph: gathered rows [n, columns · width]. */
  trainingInput(): Value {
    return input("embedded", ["n", this.outputWidth]);
  }

  /** The same from `ids` int32 [n, columns] (bucket numbers) and the table as parameter `id_table`. */
  inferenceInput(table: Value): Value {
    const { buckets } = this.options;
    const ids = input("ids", ["n", this.columns], "int32");
    const offsets = Int32Array.from({ length: this.columns }, (_, column) => column * buckets);
    const rows = ops.gather(table, ops.add(ids, constant(offsets, [this.columns]))); // [n, columns, width]
    return ops.reshape(rows, ["n", this.outputWidth]);
  }

  /**
   * Table rows of one impression's id hashes into `out[at…]`; −1 = missing. `random` drops ids; without it none is.
   */
  rows(hashes: Uint32Array, from: number, out: Int32Array, at: number, random?: Random): void {
    const { buckets, dropout } = this.options;
    for (let column = 0; column < this.columns; column++) {
      const bucket = idBucket(hashes[from + column] as number, buckets);
      const dropped = random !== undefined && dropout > 0 && random.next() < dropout;
      out[at + column] = bucket === 0 || dropped ? -1 : column * buckets + bucket;
    }
  }

  /** Copies the table's rows into `out` [rows.length, width]; −1 gives zeros. */
  gather(rows: Int32Array, out: Float32Array): void {
    const { width } = this.options;
    const { table } = this.optimiser;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] as number;
      for (let j = 0; j < width; j++)
        out[i * width + j] = row < 0 ? 0 : (table[row * width + j] as number);
    }
  }
}
