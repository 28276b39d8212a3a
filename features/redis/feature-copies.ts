import { LRUCache } from "lru-cache";
import { ENTITIES, type Entity, type VectorCell, type VectorHolder } from "../entities.ts";
import { KeptRows } from "../kept-rows.ts";
import { SLOTS } from "../registry.ts";
import type { Between } from "../shared-reads.ts";

export type Vector = Float64Array | undefined;

/** A copy of what was fetched. A newer one takes its place in here, which costs less than to put that into the cache. */
export class FeatureCopy implements VectorCell {
  vector: Vector;
  fetchedMs: number;
  /** The moment of the request that it was fetched for, NaN for one without. */
  asOfMs: number;
  /** Whose copy it is; undefined when it was thrown out. */
  owner: object | undefined;
  #kept: KeptRows | undefined;

  constructor(vector: Vector, fetchedMs: number, asOfMs: number, owner: object) {
    this.vector = vector;
    this.fetchedMs = fetchedMs;
    this.asOfMs = asOfMs;
    this.owner = owner;
  }

  replace(vector: Vector, fetchedMs: number, asOfMs: number): void {
    this.vector = vector;
    this.fetchedMs = fetchedMs;
    this.asOfMs = asOfMs;
    this.#kept = undefined;
  }

  /** For a request of this moment: what is made of the vector is of the moment it was fetched for, less than `mostMs` ago. */
  keptFor(nowMs: number, mostMs: number): KeptRows | undefined {
    const late = nowMs - this.asOfMs;
    if (!(late >= 0 && late < mostMs)) return undefined;
    this.#kept ??= new KeptRows(this.asOfMs);
    return this.#kept;
  }
}

/** The same of both directions between a viewer and an author; it remembers where the author's own copy is. */
export interface PairCopy extends VectorHolder {
  between: Between;
  fetchedMs: number;
}

/** Entities that are kept one by one. */
export type Single = Exclude<Entity, "user_author">;
const SINGLE = ENTITIES.filter((entity) => entity !== "user_author");

/** So many can be kept at once: one that has met more authors than its share allows begins anew. */
const LEAST_VIEWERS = 8;
/** What an entry costs beside its numbers. */
const ENTRY_BYTES = 200;
/** Measured of forty features for each of two stages, with what is around them. */
const KEPT_BYTES = 1_000;

/**
 * Copies of feature state in this process, the least recently fetched of each entity leaving first; pairs leave with all
 * others of their viewer. Finding moves nothing: whoever is in use is fetched again each second, and is moved then.
 */
export class FeatureCopies {
  readonly #single: Readonly<Record<Single, LRUCache<string, FeatureCopy>>>;
  /** By viewer. */
  readonly #pairs: LRUCache<string, { readonly byAuthor: Map<string, PairCopy> }>;
  readonly #mostOfViewer: number;
  /** Told by the copies; not these copies themselves, which a post that holds one would keep alive. */
  readonly #owner = {};

  /** @param bytes of vectors that are kept of each of the entities */
  constructor(bytes: number) {
    const most = (entity: Entity, vectors: number): number => {
      const kept = entity === "post" || entity === "author" ? KEPT_BYTES : 0;
      return Math.ceil(bytes / (ENTRY_BYTES + kept + vectors * 8 * SLOTS[entity]));
    };
    this.#single = Object.fromEntries(
      SINGLE.map((entity) => [entity, new LRUCache({ max: most(entity, 1), dispose: empty })]),
    ) as Record<Single, LRUCache<string, FeatureCopy>>;
    const mostPairs = most("user_author", 2);
    this.#mostOfViewer = Math.ceil(mostPairs / LEAST_VIEWERS);
    this.#pairs = new LRUCache({ maxSize: mostPairs });
  }

  find(entity: Single, key: string): FeatureCopy | undefined {
    return this.#single[entity].peek(key);
  }

  /**
   * All are looked up before any is looked at: the processor then waits for many of them at once.
   * @param holders by key, where there are any: each then remembers the copy, and that is not looked up again
   */
  findAll(
    entity: Single,
    keys: readonly string[],
    holders?: readonly (VectorHolder | undefined)[],
  ): (FeatureCopy | undefined)[] {
    const copies = this.#single[entity];
    return keys.map((key, i) => {
      const holder = holders?.[i];
      const held = holder?.vectorCell;
      if (held !== undefined && this.#keeps(held)) return held;
      const copy = copies.peek(key);
      if (holder !== undefined) holder.vectorCell = copy;
      return copy;
    });
  }

  findPairs(userId: string, authorIds: readonly string[]): (PairCopy | undefined)[] {
    const pairs = this.#pairs.peek(userId)?.byAuthor;
    return authorIds.map((authorId) => pairs?.get(authorId));
  }

  /** Keeps what was fetched, unless there is something newer. */
  keep(entity: Single, key: string, vector: Vector, fetchedMs: number, asOfMs = Number.NaN): void {
    const copies = this.#single[entity];
    const copy = copies.get(key);
    if (copy === undefined)
      copies.set(key, new FeatureCopy(vector, fetchedMs, asOfMs, this.#owner));
    else if (fetchedMs >= copy.fetchedMs) copy.replace(vector, fetchedMs, asOfMs);
  }

  keepPair(userId: string, authorId: string, between: Between, fetchedMs: number): void {
    let byAuthor = this.#pairs.get(userId)?.byAuthor;
    if (byAuthor === undefined || (byAuthor.size >= this.#mostOfViewer && !byAuthor.has(authorId)))
      byAuthor = new Map<string, PairCopy>();
    const copy = byAuthor.get(authorId);
    if (copy === undefined) {
      byAuthor.set(authorId, { between, fetchedMs, vectorCell: undefined });
      // Another object, else the size that the cache counts for it would stay what it was.
      this.#pairs.set(userId, { byAuthor }, { size: byAuthor.size });
    } else if (fetchedMs >= copy.fetchedMs) {
      copy.between = between;
      copy.fetchedMs = fetchedMs;
    }
  }

  /** Empties all copies, those that somebody holds too. */
  clear(): void {
    for (const entity of SINGLE) this.#single[entity].clear();
    this.#pairs.clear();
  }

  /** Whether a cell is a copy of this cache that was not thrown out. */
  #keeps(cell: VectorCell): cell is FeatureCopy {
    return (cell as Partial<FeatureCopy>).owner === this.#owner;
  }
}

/** What is thrown out is not to be kept alive by whoever still holds it. */
function empty(copy: FeatureCopy): void {
  copy.replace(undefined, Number.NEGATIVE_INFINITY, Number.NaN);
  copy.owner = undefined;
}
