/** A ranking as it is kept for its later pages; `Item` is what it takes to answer an item again. */
export interface StoredRanking<Item> {
  /** Bounded by who makes them: the store counts rankings by their cost. */
  readonly items: readonly Item[];
  /** What it takes of the store's capacity, above 0. Default 1: a ranking without explanations. */
  readonly cost?: number;
}

interface Entry<R> {
  readonly ranking: R;
  readonly expiresMs: number;
}

/**
 * Rankings of the last minutes, for paging: a time to live from their making and a bound on their cost together. Beyond
 * the bound the least recently read go first, down to the newest. What is stored is not changed and must not be by the caller.
 */
export class RankingStore<R extends StoredRanking<unknown>> {
  /** Iterates from the least recently used. */
  readonly #entries = new Map<string, Entry<R>>();
  readonly #ttlMs: number;
  readonly #capacity: number;
  #cost = 0;

  constructor({ ttlMs, capacity }: { readonly ttlMs: number; readonly capacity: number }) {
    this.#ttlMs = ttlMs;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @throws RangeError when the id is taken: a cursor would then name two rankings */
  put(rankingId: string, ranking: R, nowMs: number): void {
    if (this.get(rankingId, nowMs) !== undefined)
      throw new RangeError(`${rankingId} is stored already`);
    this.#entries.set(rankingId, { ranking, expiresMs: nowMs + this.#ttlMs });
    this.#cost += costOf(ranking);
    for (const oldest of this.#entries.keys()) {
      if (this.#cost <= this.#capacity || oldest === rankingId) break;
      this.#drop(oldest);
    }
  }

  /** The ranking, or undefined when it has expired, was displaced, or its user was forgotten. */
  get(rankingId: string, nowMs: number): R | undefined {
    const entry = this.#entries.get(rankingId);
    if (entry === undefined) return undefined;
    if (nowMs >= entry.expiresMs) {
      this.#drop(rankingId);
      return undefined;
    }
    // Taking it out and in again makes it the newest.
    this.#entries.delete(rankingId);
    this.#entries.set(rankingId, entry);
    return entry.ranking;
  }

  /** Drops what has expired; calling it now and then frees memory earlier than displacement does. */
  sweep(nowMs: number): void {
    for (const [rankingId, { expiresMs }] of this.#entries) {
      if (nowMs >= expiresMs) this.#drop(rankingId);
    }
  }

  /** Drops every ranking that `matches`: of a deleted user, for one. */
  forget(matches: (ranking: R) => boolean): void {
    for (const [rankingId, { ranking }] of this.#entries) {
      if (matches(ranking)) this.#drop(rankingId);
    }
  }

  #drop(rankingId: string): void {
    const entry = this.#entries.get(rankingId);
    if (entry === undefined) return;
    this.#entries.delete(rankingId);
    this.#cost -= costOf(entry.ranking);
  }
}

const costOf = ({ cost = 1 }: StoredRanking<unknown>): number => cost;
