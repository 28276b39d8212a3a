import { slotsOf, type TowerInputs, widthOf } from "./tower-inputs.ts";

/** Inputs of one tower as growing columns: row i describes one user or post at one moment. */
export class TowerRows {
  readonly inputs: TowerInputs;
  /** Features of a row. */
  readonly width: number;
  /** Bag entries of a row. */
  readonly slots: number;
  n = 0;
  /** Row-major [n, width]; NaN = missing. */
  features: Float32Array;
  /** Row-major [n, slots]: hash of each entry, 0 = none. */
  hashes: Uint32Array;
  /** Row-major [n, slots]. */
  weights: Float32Array;

  constructor(inputs: TowerInputs, capacity = 1024) {
    this.inputs = inputs;
    this.width = widthOf(inputs);
    this.slots = slotsOf(inputs);
    this.features = new Float32Array(capacity * this.width);
    this.hashes = new Uint32Array(capacity * this.slots);
    this.weights = new Float32Array(capacity * this.slots);
  }

  /** Appends an empty row and returns its number. */
  add(): number {
    const capacity = this.features.length / this.width;
    if (this.n === capacity) this.#grow(2 * capacity);
    return this.n++;
  }

  clear(): void {
    this.hashes.fill(0, 0, this.n * this.slots);
    this.weights.fill(0, 0, this.n * this.slots);
    this.n = 0;
  }

  #grow(capacity: number): void {
    const { features, hashes, weights } = this;
    this.features = new Float32Array(capacity * this.width);
    this.features.set(features);
    this.hashes = new Uint32Array(capacity * this.slots);
    this.hashes.set(hashes);
    this.weights = new Float32Array(capacity * this.slots);
    this.weights.set(weights);
  }
}
