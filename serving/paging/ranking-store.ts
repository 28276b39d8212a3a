/** As many posts of a ranking can be paged through. */
export const MAX_STORED_ITEMS = 500;

/** A ranking as it is kept for its later pages; `Item` is what it takes to answer an item again. */
export interface StoredRanking<Item> {
  readonly items: readonly Item[];
}

interface Entry<R> {
  readonly ranking: R;
  readonly expiresMs: number;
}

/**
 * Rankings of the last minutes, for paging: a time to live from their making and a bound on their count. Beyond the
 * bound the least recently read goes first. What is stored is not changed and must not be by the caller.
 */
export class RankingStore<R extends StoredRanking<unknown>> {
  /** Iterates from the least recently used. */
  readonly #entries = new Map<string, Entry<R>>();
  readonly #ttlMs: number;
  readonly #capacity: number;

  constructor({ ttlMs, capacity }: { readonly ttlMs: number; readonly capacity: number }) {
    this.#ttlMs = ttlMs;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @throws RangeError past 500 items or when the id is taken: a cursor would then name two rankings */
  put(rankingId: string, ranking: R, nowMs: number): void {
    if (ranking.items.length > MAX_STORED_ITEMS) {
      throw new RangeError(`${ranking.items.length} items; ${MAX_STORED_ITEMS} can be stored`);
    }
    if (this.get(rankingId, nowMs) !== undefined)
      throw new RangeError(`${rankingId} is stored already`);
    this.#entries.set(rankingId, { ranking, expiresMs: nowMs + this.#ttlMs });
    if (this.#entries.size <= this.#capacity) return;
    const oldest = this.#entries.keys().next();
    if (!oldest.done) this.#entries.delete(oldest.value);
  }

  /** The ranking, or undefined when it has expired, was displaced, or its user was forgotten. */
  get(rankingId: string, nowMs: number): R | undefined {
    const entry = this.#entries.get(rankingId);
    if (entry === undefined) return undefined;
    this.#entries.delete(rankingId);
    if (nowMs >= entry.expiresMs) return undefined;
    this.#entries.set(rankingId, entry);
    return entry.ranking;
  }

  /** Drops what has expired; calling it now and then frees memory earlier than displacement does. */
  sweep(nowMs: number): void {
    for (const [rankingId, { expiresMs }] of this.#entries) {
      if (nowMs >= expiresMs) this.#entries.delete(rankingId);
    }
  }

  /** Drops every ranking that `matches`: of a deleted user, for one. */
  forget(matches: (ranking: R) => boolean): void {
    for (const [rankingId, { ranking }] of this.#entries) {
      if (matches(ranking)) this.#entries.delete(rankingId);
    }
  }
}
