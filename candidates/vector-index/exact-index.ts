import { readFile, writeFile } from "node:fs/promises";
import { RoostError } from "../../errors.ts";
import { checkVectors } from "./check-vectors.ts";
import { readIndex, vectorsFile, writeIndex } from "./index-files.ts";
import { Nearest } from "./nearest.ts";
import type { Neighbours, VectorIndex } from "./vector-index.ts";

const FIRST_CAPACITY = 1024;

/**
 * Searches by comparing the query with every vector, on the calling thread: exact, 64 numbers × 25,000 items in about
 * 2 ms. What serves where HNSW is not installed, and what it is judged against.
 */
export class ExactIndex implements VectorIndex {
  readonly kind = "exact";
  readonly dimension: number;
  readonly #slots = new Map<string, number>();
  /** Id of each slot; "" = free. */
  readonly #idOf: string[] = [];
  readonly #free: number[] = [];
  #vectors: Float32Array;

  constructor(dimension: number) {
    this.dimension = dimension;
    this.#vectors = new Float32Array(FIRST_CAPACITY * dimension);
  }

  /** @throws BAD_INDEX when what is there is damaged or no exact index */
  static async load(dir: string): Promise<ExactIndex> {
    const { manifest, labels } = await readIndex(dir);
    const bytes = await readFile(vectorsFile(dir));
    const { kind, dimension, size } = manifest;
    if (kind !== "exact" || bytes.length !== 4 * size * dimension)
      throw new RoostError("BAD_INDEX", `${dir} holds no exact index of ${size} × ${dimension}`);
    const vectors = new Float32Array(size * dimension);
    new Uint8Array(vectors.buffer).set(bytes);
    const index = new ExactIndex(dimension);
    const ids = [...labels].sort((a, b) => a[1] - b[1]).map(([id]) => id);
    await index.add(ids, vectors);
    return index;
  }

  get size(): number {
    return this.#slots.size;
  }

  has(id: string): boolean {
    return this.#slots.has(id);
  }

  ids(): Iterable<string> {
    return this.#slots.keys();
  }

  async add(ids: readonly string[], vectors: Float32Array): Promise<void> {
    checkVectors(vectors, ids.length, this.dimension);
    const d = this.dimension;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] as string;
      let slot = this.#slots.get(id);
      if (slot === undefined) {
        slot = this.#free.pop() ?? this.#idOf.length;
        this.#slots.set(id, slot);
        this.#idOf[slot] = id;
        if ((slot + 1) * d > this.#vectors.length) this.#grow();
      }
      this.#vectors.set(vectors.subarray(i * d, (i + 1) * d), slot * d);
    }
  }

  async remove(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const slot = this.#slots.get(id);
      if (slot === undefined) continue;
      this.#slots.delete(id);
      this.#idOf[slot] = "";
      this.#free.push(slot);
    }
  }

  async search(query: Float32Array, k: number): Promise<Neighbours> {
    checkVectors(query, 1, this.dimension);
    const d = this.dimension;
    const nearest = new Nearest(Math.min(k, this.size));
    if (k > 0)
      for (let slot = 0; slot < this.#idOf.length; slot++) {
        if (this.#idOf[slot] === "") continue;
        let dot = 0;
        for (let j = slot * d, q = 0; q < d; j++, q++)
          dot += (this.#vectors[j] as number) * (query[q] as number);
        nearest.push(slot, dot);
      }
    const { items, scores } = nearest.sorted();
    return { ids: Array.from(items, (slot) => this.#idOf[slot] as string), scores };
  }

  async save(dir: string, about: Readonly<Record<string, string>>): Promise<void> {
    const d = this.dimension;
    const packed = new Float32Array(this.size * d);
    const labels = [...this.#slots].map(([id, slot], i) => {
      packed.set(this.#vectors.subarray(slot * d, (slot + 1) * d), i * d);
      return [id, i] as const;
    });
    const bytes = new Uint8Array(packed.buffer);
    await writeIndex(dir, this, about, labels, (path) => writeFile(path, bytes, { flush: true }));
  }

  async close(): Promise<void> {}

  #grow(): void {
    const larger = new Float32Array(2 * this.#vectors.length);
    larger.set(this.#vectors);
    this.#vectors = larger;
  }
}
