/** The nearest items to a query, best first. */
export interface Neighbours {
  readonly ids: readonly string[];
  /** Dot product of the query and each item's vector, descending. */
  readonly scores: Float32Array;
}

/**
 * Items by vector, searched by largest dot product. Ids are unsigned 64-bit decimals. Calls take effect in the order in
 * which they were made. Implementations pass `vector-index.contract.ts`; the exact index is the oracle.
 */
export interface VectorIndex {
  readonly kind: "exact" | "hnsw";
  /** Numbers in a vector. */
  readonly dimension: number;
  /** Items that a search can find, adds and removes that are under way included. */
  readonly size: number;
  has(id: string): boolean;
  ids(): Iterable<string>;
  /**
   * Puts in `ids[i]` with `vectors[i·dimension …]`, row-major [ids.length, dimension], finite; an id that is in already
   * gets the new vector.
   * @throws BAD_ARGUMENT when the vectors are not of that size or not finite: nothing is put in then
   */
  add(ids: readonly string[], vectors: Float32Array): Promise<void>;
  /** Takes items out; a search that begins later does not find them. Unknown ids are passed over. */
  remove(ids: readonly string[]): Promise<void>;
  /**
   * The `k` nearest, fewer when there are fewer items. Filters belong behind it: ask for more than is needed.
   * @throws BAD_ARGUMENT when the query is not [dimension] or not finite
   */
  search(query: Float32Array, k: number): Promise<Neighbours>;
  /** Writes the index into directory `dir`, by rename: a reader finds the old one or this one. */
  save(dir: string, about: Readonly<Record<string, string>>): Promise<void>;
  close(): Promise<void>;
}
