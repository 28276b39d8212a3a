export interface RowAdagradOptions {
  readonly learningRate: number;
  /** Pull toward 0 per update of a row, so that rarely seen ids stay near "unknown". */
  readonly l2: number;
}

/** Added under the root, so that a row's first update is at most the learning rate. */
const EPSILON = 1e-8;

/**
 * Row-wise AdaGrad on an embedding table [rows, width]: one accumulator a row, the mean square of its gradients.
 * Only rows in the minibatch are touched; repeated rows are summed first, as one gradient.
 * Source: Duchi, Hazan, Singer (2011); row-wise as in Naumov et al. (2019), "DLRM", §4 (exact row-wise AdaGrad of FBGEMM).
 */
export class RowAdagrad {
  readonly table: Float32Array;
  readonly accumulator: Float32Array;
  readonly #width: number;
  readonly #options: RowAdagradOptions;
  /** Where a row's summed gradient lies in this update, or −1. */
  readonly #slot: Int32Array;
  #sums = new Float32Array(0);
  #touched = new Int32Array(0);

  constructor(table: Float32Array, width: number, options: RowAdagradOptions) {
    this.table = table;
    this.#width = width;
    this.#options = options;
    this.accumulator = new Float32Array(table.length / width);
    this.#slot = new Int32Array(table.length / width).fill(-1);
  }

  /** Applies `gradients` [rows.length, width]; rows that are −1 are skipped. `scale` multiplies the learning rate. */
  step(rows: Int32Array, gradients: Float32Array, scale = 1): void {
    const width = this.#width;
    if (this.#touched.length < rows.length) {
      this.#touched = new Int32Array(rows.length);
      this.#sums = new Float32Array(rows.length * width);
    }
    const [slots, sums, touched, table] = [this.#slot, this.#sums, this.#touched, this.table];
    let count = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] as number;
      if (row < 0) continue;
      let slot = slots[row] as number;
      if (slot < 0) {
        slot = count++;
        slots[row] = slot;
        touched[slot] = row;
        sums.fill(0, slot * width, (slot + 1) * width);
      }
      for (let j = 0; j < width; j++) sums[slot * width + j]! += gradients[i * width + j] as number;
    }
    const { learningRate, l2 } = this.#options;
    for (let slot = 0; slot < count; slot++) {
      const row = touched[slot] as number;
      slots[row] = -1;
      const at = row * width;
      const from = slot * width;
      let square = 0;
      for (let j = 0; j < width; j++) square += (sums[from + j] as number) ** 2;
      const total = (this.accumulator[row] as number) + square / width;
      this.accumulator[row] = total;
      const rate = (learningRate * scale) / (Math.sqrt(total) + EPSILON);
      const keep = 1 - learningRate * scale * l2;
      for (let j = 0; j < width; j++)
        table[at + j] = keep * (table[at + j] as number) - rate * (sums[from + j] as number);
    }
  }
}
