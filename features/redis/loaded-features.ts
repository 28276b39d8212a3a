import { ENTITIES, type Entity, pairKey, type StateView } from "../entities.ts";
import type { KeptRows } from "../kept-rows.ts";
import type { AuthorVectors } from "../shared-reads.ts";

/**
 * What reading a value came to: `present` and `missing` as Redis says or said a moment ago, `missing` too where neither it
 * nor a copy could say; `stale`, an older copy in the place of what could not be fetched; `expired`, a copy too old for
 * that, so that there is nothing.
 */
export const READ_STATUSES = ["present", "missing", "stale", "expired"] as const;
export type ReadStatus = (typeof READ_STATUSES)[number];

/** The state that one request reads: it does not change while models run one after another. */
export class LoadedFeatures implements StateView {
  /** When it was loaded, in milliseconds of the clock that the age of copies is told by. */
  readonly nowMs: number;
  /** The request's moment, NaN where it has none. */
  readonly asOfMs: number;
  readonly userId: string;
  readonly counts: Readonly<Record<Entity, Record<ReadStatus, number>>> = byEntity(() => ({
    present: 0,
    missing: 0,
    stale: 0,
    expired: 0,
  }));
  /** Age of the oldest copy that is used, in ms. */
  oldestMs = 0;
  /** Redis did not answer for a part of it. */
  degraded = false;
  /** Of the posts that were asked about, in their order. */
  readonly posts: (Float64Array | undefined)[] = [];
  /** By post: what is kept of its features, where its vector counts as fresh and was here before. */
  readonly kept: (KeptRows | undefined)[] = [];
  /** Authors that were asked about, and what there is between them and the viewer. */
  readonly authors = new Map<string, AuthorVectors>();
  readonly #postIds: readonly string[];
  /** Place of each post: made when one is asked for by its id. */
  #placeOf: ReadonlyMap<string, number> | undefined;
  /** Of the other entities. */
  readonly #vectors = byEntity(() => new Map<string, Float64Array | undefined>());
  readonly #topics = new Set<number>();
  readonly #media = new Set<number>();

  constructor(
    request: { readonly userId: string; readonly postIds: readonly string[]; nowMs?: number },
    nowMs: number,
  ) {
    this.userId = request.userId;
    this.#postIds = request.postIds;
    this.asOfMs = request.nowMs ?? Number.NaN;
    this.nowMs = nowMs;
  }

  get(entity: Entity, key: string): Float64Array | undefined {
    if (entity === "post") {
      this.#placeOf ??= new Map(this.#postIds.map((id, i) => [id, i]));
      return this.posts[this.#placeOf.get(key) ?? -1];
    }
    if (entity === "author") return this.authors.get(key)?.author;
    if (entity === "user_author") return this.#pair(key);
    return this.#vectors[entity].get(key);
  }

  #pair(key: string): Float64Array | undefined {
    const { userId } = this;
    if (key.startsWith(userId) && key[userId.length] === "|") {
      const author = this.authors.get(key.slice(userId.length + 1));
      if (author?.pair !== undefined) return author.pair.userAuthor;
    }
    const end = key.length - userId.length;
    if (key.endsWith(userId) && key[end - 1] === "|")
      return this.authors.get(key.slice(0, end - 1))?.pair?.authorUser;
    return undefined;
  }

  /** Whether this key of another entity than posts, authors and pairs was asked for. */
  has(entity: Entity, key: string): boolean {
    return this.#vectors[entity].has(key);
  }

  /** What was asked for of an entity. */
  *keys(entity: Entity): Iterable<string> {
    if (entity === "post") {
      if (this.posts.length > 0) yield* new Set(this.#postIds);
    } else if (entity === "author") yield* this.authors.keys();
    else if (entity !== "user_author") yield* this.#vectors[entity].keys();
    else
      for (const [authorId, { pair }] of this.authors) {
        if (pair === undefined) continue;
        yield pairKey(this.userId, authorId);
        if (authorId !== this.userId) yield pairKey(authorId, this.userId);
      }
  }

  /** Puts a vector of another entity than posts, authors and pairs. */
  put(entity: Entity, key: string, vector: Float64Array | undefined): void {
    this.#vectors[entity].set(key, vector);
  }

  /** Nothing is kept of this request, nor taken from what is. */
  keepNothing(): void {
    this.kept.length = 0;
    for (const author of this.authors.values()) author.kept = undefined;
  }

  /** Notes that a vector is used which Redis gave at `fetchedMs` and which is fresh. */
  fresh(entity: Entity, vector: Float64Array | undefined, fetchedMs: number): void {
    this.count(entity, vector === undefined ? "missing" : "present", fetchedMs);
  }

  count(entity: Entity, status: ReadStatus, fetchedMs: number): void {
    this.counts[entity][status]++;
    if (this.nowMs - fetchedMs > this.oldestMs && status !== "expired")
      this.oldestMs = this.nowMs - fetchedMs;
  }

  /** True when this topic's hash is met for the first time. */
  meetsTopic(topic: number): boolean {
    const before = this.#topics.size;
    return this.#topics.add(topic).size > before;
  }

  /** True when this kind of media is met for the first time. */
  meetsMedia(media: number): boolean {
    const before = this.#media.size;
    return this.#media.add(media).size > before;
  }
}

function byEntity<T>(make: () => T): Readonly<Record<Entity, T>> {
  const all: Partial<Record<Entity, T>> = {};
  for (const entity of ENTITIES) all[entity] = make();
  return all as Record<Entity, T>;
}
