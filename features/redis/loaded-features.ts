import { type Between, ENTITIES, type Entity, pairKey, type StateView } from "../entities.ts";

/**
 * What reading a value came to: `present` and `missing` as Redis says or said a moment ago, `missing` too where neither it
 * nor a copy could say; `stale`, an older copy in the place of what could not be fetched; `expired`, a copy too old for
 * that, so that there is nothing.
 */
export const READ_STATUSES = ["present", "missing", "stale", "expired"] as const;
export type ReadStatus = (typeof READ_STATUSES)[number];

/** A vector as it was fetched; shared by the requests that use it. */
export interface Copy {
  vector: Float64Array | undefined;
  readonly fetchedMs: number;
}

/** Copies of both directions between the viewer and an author. */
export interface CopiesBetween {
  readonly userAuthor: Copy;
  readonly authorUser: Copy;
}

/** The state that one request reads: it does not change while models run one after another. */
export class LoadedFeatures implements StateView {
  readonly nowMs: number;
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
  readonly posts: Copy[] = [];
  readonly #postIds: readonly string[];
  /** Place of each post: made when one is asked for by its id. */
  #placeOf: ReadonlyMap<string, number> | undefined;
  readonly #copies = byEntity(() => new Map<string, Copy>());
  /** By author. */
  readonly #between = new Map<string, CopiesBetween>();
  readonly #topics = new Set<number>();
  readonly #media = new Set<number>();

  constructor(userId: string, postIds: readonly string[], nowMs: number) {
    this.userId = userId;
    this.#postIds = postIds;
    this.nowMs = nowMs;
  }

  get(entity: Entity, key: string): Float64Array | undefined {
    if (entity === "user_author") return this.#pair(key)?.vector;
    if (entity === "post") {
      this.#placeOf ??= new Map(this.#postIds.map((id, i) => [id, i]));
      return this.posts[this.#placeOf.get(key) ?? -1]?.vector;
    }
    return this.#copies[entity].get(key)?.vector;
  }

  between(userId: string, authorId: string): Between | undefined {
    const copies = userId === this.userId ? this.#between.get(authorId) : undefined;
    return copies && { userAuthor: copies.userAuthor.vector, authorUser: copies.authorUser.vector };
  }

  #pair(key: string): Copy | undefined {
    const { userId } = this;
    if (key.startsWith(userId) && key[userId.length] === "|") {
      const copies = this.#between.get(key.slice(userId.length + 1));
      if (copies !== undefined) return copies.userAuthor;
    }
    const end = key.length - userId.length;
    if (key.endsWith(userId) && key[end - 1] === "|")
      return this.#between.get(key.slice(0, end - 1))?.authorUser;
    return undefined;
  }

  /** Whether this key of another entity than posts and pairs was asked for. */
  has(entity: Entity, key: string): boolean {
    return this.#copies[entity].has(key);
  }

  hasBetween(authorId: string): boolean {
    return this.#between.has(authorId);
  }

  /** What was asked for of an entity. */
  *keys(entity: Entity): Iterable<string> {
    yield* this.#copies[entity].keys();
    if (entity === "post" && this.posts.length > 0) yield* new Set(this.#postIds);
    if (entity !== "user_author") return;
    for (const authorId of this.#between.keys()) {
      yield pairKey(this.userId, authorId);
      if (authorId !== this.userId) yield pairKey(authorId, this.userId);
    }
  }

  /** Uses a copy. */
  put(entity: Entity, key: string, copy: Copy): void {
    this.#copies[entity].set(key, copy);
  }

  putBetween(authorId: string, copies: CopiesBetween): void {
    this.#between.set(authorId, copies);
  }

  /** Notes that a copy which is fresh is used. */
  fresh(entity: Entity, copy: Copy): void {
    this.count(entity, copy.vector === undefined ? "missing" : "present", copy);
  }

  count(entity: Entity, status: ReadStatus, { fetchedMs }: Copy): void {
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
