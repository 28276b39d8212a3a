import { LRUCache } from "lru-cache";
import { ENTITIES, type Entity } from "../entities.ts";
import { SLOTS } from "../registry.ts";
import type { Between } from "../shared-reads.ts";

export type Vector = Float64Array | undefined;

/** A copy of what was fetched. A newer one takes its place in here, which costs less than to put that into the cache. */
export interface Copy<T> {
  value: T;
  fetchedMs: number;
}

/** Entities that are kept one by one. */
export type Single = Exclude<Entity, "user_author">;
const SINGLE = ENTITIES.filter((entity) => entity !== "user_author");

/** What an entry costs beside its numbers. */
const ENTRY_BYTES = 200;

/**
 * Copies of feature state in this process, the least recently fetched of each entity leaving first. Finding moves nothing:
 * whoever is in use is fetched again each second, and is moved then.
 */
export class FeatureCopies {
  readonly #single: Readonly<Record<Single, LRUCache<string, Copy<Vector>>>>;
  /** Both directions of a pair, by viewer and author. */
  readonly #pairs: LRUCache<string, Copy<Between>>;

  /** @param bytes of vectors that are kept of each of the entities */
  constructor(bytes: number) {
    const most = (entity: Entity, vectors: number): number =>
      Math.ceil(bytes / (ENTRY_BYTES + vectors * 8 * SLOTS[entity]));
    this.#single = Object.fromEntries(
      SINGLE.map((entity) => [entity, new LRUCache({ max: most(entity, 1) })]),
    ) as Record<Single, LRUCache<string, Copy<Vector>>>;
    this.#pairs = new LRUCache({ max: most("user_author", 2) });
  }

  find(entity: Single, key: string): Copy<Vector> | undefined {
    return this.#single[entity].peek(key);
  }

  /** All are looked up before any is looked at: the processor then waits for many of them at once. */
  findAll(entity: Single, keys: readonly string[]): (Copy<Vector> | undefined)[] {
    const copies = this.#single[entity];
    return keys.map((key) => copies.peek(key));
  }

  findPairs(keys: readonly string[]): (Copy<Between> | undefined)[] {
    return keys.map((key) => this.#pairs.peek(key));
  }

  /** Keeps what was fetched, unless there is something newer. */
  keep(entity: Single, key: string, value: Vector, fetchedMs: number): void {
    keep(this.#single[entity], key, value, fetchedMs);
  }

  keepPair(key: string, value: Between, fetchedMs: number): void {
    keep(this.#pairs, key, value, fetchedMs);
  }
}

function keep<T>(cache: LRUCache<string, Copy<T>>, key: string, value: T, fetchedMs: number): void {
  const copy = cache.get(key);
  if (copy === undefined) cache.set(key, { value, fetchedMs });
  else if (fetchedMs >= copy.fetchedMs) {
    copy.value = value;
    copy.fetchedMs = fetchedMs;
  }
}
