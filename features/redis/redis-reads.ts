import { LRUCache } from "lru-cache";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { RedisGroups } from "../../datasets/storage/redis-groups.ts";
import { ENTITIES, type Entity, GLOBAL_KEY, pairKey, TOPICS_PER_POST } from "../entities.ts";
import { eachFollow } from "../families/follow-list.ts";
import { isCreated, POST } from "../families/post-content.ts";
import { INTEREST_OFFSETS } from "../reader.ts";
import { SLOTS } from "../registry.ts";
import { FeatureKeys } from "./feature-keys.ts";
import {
  type CopiesBetween,
  type Copy,
  LoadedFeatures,
  READ_STATUSES,
  type ReadStatus,
} from "./loaded-features.ts";
import { unpackValue } from "./packed-value.ts";

export interface RedisReadsOptions {
  /** How long a copy counts as fresh: what a request reads is at most this much behind. */
  readonly freshMs?: number;
  /** How long a copy may stand in for what cannot be fetched. */
  readonly staleMs?: number;
  /** How long a request waits for Redis in each of its two rounds; the answers that come later are not used. */
  readonly timeoutMs?: number;
  /** Bytes of vectors that are kept of each of the entities. */
  readonly cacheBytes?: number;
  /** Entities that the models' features look at; see `readEntities`. */
  readonly entities?: ReadonlySet<Entity>;
}

/** Counts of likes are shown within a second; a feature that lags as much moves no ranking. */
const FRESH_MS = 1_000;
/** A minute bridges a fail-over or a restart of Redis; signals older than that mislead about what is new. */
const STALE_MS = 60_000;
/** Some twenty times what a healthy Redis takes, and a small part of a request's deadline. */
const TIMEOUT_MS = 100;
/** Some 20,000 posts or 50,000 user–author pairs; twelve entities of this. */
const CACHE_BYTES = 16_000_000;
/** What an entry costs beside its numbers. */
const ENTRY_BYTES = 200;
/** A second attempt finds a slot that moved or a node that was promoted; more would outlast the request. */
const ATTEMPTS = 2;

/** Entities that are kept one by one. */
type Single = Exclude<Entity, "user_author">;
const SINGLE = ENTITIES.filter((entity) => entity !== "user_author");

/** A place of the cache. Another copy is put into it, which costs less than into the cache; requests keep the one they took. */
interface Place<T> {
  copy: T;
}

/** What a request still has to fetch. */
interface Wanted {
  readonly entity: Entity;
  readonly key: string;
  /** Where the request will look. */
  readonly copy: Copy;
  /** What was fetched earlier. */
  readonly earlier: Copy | undefined;
  /** Set on the second direction of a pair, which stands behind the first: both are kept as one. */
  readonly between: { readonly key: string; readonly copies: CopiesBetween } | undefined;
}

/** Who asks, and about what. */
export interface FeatureLoad {
  readonly userId: string;
  readonly surface?: string;
  readonly postIds: readonly string[];
  /** The posts' authors, in any order and number; those that are not known are left out. */
  readonly authorIds: readonly string[];
  /** Kinds of media that are asked about besides those of the posts. */
  readonly mediaKinds?: readonly number[];
}

/**
 * Reads feature state on Redis for requests, in at most two rounds: the viewer, posts, authors and pairs; and as soon as the
 * posts are here, what hangs on their topics and media and on whom the viewer follows. Copies of this process stand in
 * front. When Redis does not answer, a request gets what there is here and is told so.
 */
export class RedisFeatureReads {
  /** Values read so far, by entity and what they were. */
  readonly counts = Object.fromEntries(
    ENTITIES.map((entity) => [
      entity,
      Object.fromEntries(READ_STATUSES.map((status) => [status, 0])),
    ]),
  ) as Readonly<Record<Entity, Record<ReadStatus, number>>>;
  readonly #followers: ((loaded: LoadedFeatures) => void)[] = [];
  readonly #groups: RedisGroups;
  readonly #keys: FeatureKeys;
  readonly #now: () => number;
  readonly #options: Required<Omit<RedisReadsOptions, "cacheBytes">>;
  /** Of every entity but pairs. */
  readonly #places: Readonly<Record<Single, LRUCache<string, Place<Copy>>>>;
  /** Both directions of a pair, by viewer and author. */
  readonly #between: LRUCache<string, Place<CopiesBetween>>;

  /** @param now the clock that the age of copies is told by */
  constructor(connection: RedisConnection, now: () => number, options: RedisReadsOptions = {}) {
    this.#groups = new RedisGroups(connection.client, ATTEMPTS);
    this.#keys = new FeatureKeys(connection.target.prefix);
    this.#now = now;
    const { cacheBytes = CACHE_BYTES, ...others } = options;
    this.#options = {
      freshMs: FRESH_MS,
      staleMs: STALE_MS,
      timeoutMs: TIMEOUT_MS,
      entities: new Set(ENTITIES),
      ...others,
    };
    const most = (entity: Entity, vectors: number): number =>
      Math.ceil(cacheBytes / (ENTRY_BYTES + vectors * 8 * SLOTS[entity]));
    this.#places = Object.fromEntries(
      SINGLE.map((entity) => [entity, new LRUCache({ max: most(entity, 1) })]),
    ) as Record<Single, LRUCache<string, Place<Copy>>>;
    this.#between = new LRUCache({ max: most("user_author", 2) });
  }

  /** Calls `follow` with what each request was given. */
  onLoaded(follow: (loaded: LoadedFeatures) => void): void {
    this.#followers.push(follow);
  }

  /** How long a request waits in each of its two rounds. */
  get timeoutMs(): number {
    return this.#options.timeoutMs;
  }

  /** What a `FeatureReader` looks at for these candidates. Never fails: see `degraded` of what it gives. */
  async load(request: FeatureLoad): Promise<LoadedFeatures> {
    const loaded = new LoadedFeatures(request.userId, request.postIds, this.#now());
    const first: Wanted[] = [];
    const authors: Wanted[] = this.#groups.shared ? first : [];
    const second: Wanted[] = [];
    this.#needFirst(request, loaded, first);
    this.#needAuthors(request, loaded, authors);
    // Of what there is a copy, fresh or not, it is known what hangs on it: seldom is anything left for a second round.
    this.#needSecond(request, loaded, first);
    const posts = this.#fetch(first, loaded, true);
    // On its way behind the posts: while it is, their topics are asked for. On a cluster keys of one slot share a command,
    // and half as many commands save more than that.
    const others = authors === first ? posts : this.#fetch(authors, loaded, true);
    const answered = await posts;
    if (first.length > 0) this.#needSecond(request, loaded, second);
    // Redis that did not answer the first time is not waited for again.
    await Promise.all([others, this.#fetch(second, loaded, answered)]);
    for (const entity of ENTITIES)
      for (const status of READ_STATUSES)
        this.counts[entity][status] += loaded.counts[entity][status];
    for (const follow of this.#followers) follow(loaded);
    return loaded;
  }

  #needFirst(request: FeatureLoad, loaded: LoadedFeatures, wanted: Wanted[]): void {
    const { userId, surface, postIds } = request;
    const { entities } = this.#options;
    this.#need("global", GLOBAL_KEY, loaded, wanted);
    this.#need("user", userId, loaded, wanted);
    if (entities.has("user_follows")) this.#need("user_follows", userId, loaded, wanted);
    if (surface !== undefined) {
      if (entities.has("surface")) this.#need("surface", surface, loaded, wanted);
      if (entities.has("user_surface"))
        this.#need("user_surface", pairKey(userId, surface), loaded, wanted);
    }
    if (entities.has("user_media"))
      for (const media of request.mediaKinds ?? [])
        if (loaded.meetsMedia(media))
          this.#need("user_media", pairKey(userId, String(media)), loaded, wanted);
    if (entities.has("post"))
      for (let i = 0; i < postIds.length; i++)
        loaded.posts.push(this.#copyOf("post", postIds[i] as string, loaded, wanted));
  }

  #needAuthors(request: FeatureLoad, loaded: LoadedFeatures, wanted: Wanted[]): void {
    const { authorIds } = request;
    const readsPairs = this.#options.entities.has("user_author");
    for (let i = 0; i < authorIds.length; i++) {
      const authorId = authorIds[i] as string;
      this.#need("author", authorId, loaded, wanted);
      if (readsPairs) this.#needBetween(authorId, loaded, wanted);
    }
  }

  /** Of what is loaded by now: authors that the viewer follows, and what the posts' topics and media are the keys of. */
  #needSecond(request: FeatureLoad, loaded: LoadedFeatures, wanted: Wanted[]): void {
    const { userId } = request;
    const { entities } = this.#options;
    const follows = loaded.get("user_follows", userId);
    if (follows !== undefined)
      eachFollow(follows, INTEREST_OFFSETS.followList, (id) => {
        this.#need("author", id, loaded, wanted);
      });
    const readsTopics = entities.has("topic") || entities.has("user_topic");
    if (!readsTopics && !entities.has("user_media")) return;
    for (let i = 0; i < loaded.posts.length; i++) {
      const post = (loaded.posts[i] as Copy).vector;
      if (!isCreated(post)) continue;
      const media = post[POST.media] as number;
      if (loaded.meetsMedia(media) && entities.has("user_media"))
        this.#need("user_media", pairKey(userId, String(media)), loaded, wanted);
      if (!readsTopics) continue;
      for (let t = 0; t < TOPICS_PER_POST; t++) {
        const topic = post[POST.topics + 2 * t] as number;
        if (topic === 0) break;
        if (!loaded.meetsTopic(topic)) continue;
        const key = String(topic);
        if (entities.has("topic")) this.#need("topic", key, loaded, wanted);
        if (entities.has("user_topic"))
          this.#need("user_topic", pairKey(userId, key), loaded, wanted);
      }
    }
  }

  /** Looks at a key, unless it was asked for before. */
  #need(entity: Single, key: string, loaded: LoadedFeatures, wanted: Wanted[]): void {
    if (!loaded.has(entity, key))
      loaded.put(entity, key, this.#copyOf(entity, key, loaded, wanted));
  }

  /** A fresh copy, or one that is to be fetched, which is noted. */
  #copyOf(entity: Single, key: string, loaded: LoadedFeatures, wanted: Wanted[]): Copy {
    // Moves nothing: whoever is in use is fetched again each second, and is moved then.
    const earlier = this.#places[entity].peek(key)?.copy;
    if (this.#isFresh(earlier, loaded)) {
      loaded.fresh(entity, earlier);
      return earlier;
    }
    const copy = expected(earlier, loaded);
    wanted.push({ entity, key, copy, earlier, between: undefined });
    return copy;
  }

  #needBetween(authorId: string, loaded: LoadedFeatures, wanted: Wanted[]): void {
    if (loaded.hasBetween(authorId)) return;
    const { userId } = loaded;
    const key = pairKey(userId, authorId);
    const held = this.#between.peek(key)?.copy;
    // Both were fetched at once.
    if (held !== undefined && this.#isFresh(held.userAuthor, loaded)) {
      loaded.putBetween(authorId, held);
      loaded.fresh("user_author", held.userAuthor);
      loaded.fresh("user_author", held.authorUser);
      return;
    }
    const copies = {
      userAuthor: expected(held?.userAuthor, loaded),
      authorUser: expected(held?.authorUser, loaded),
    };
    loaded.putBetween(authorId, copies);
    wanted.push(
      {
        entity: "user_author",
        key,
        copy: copies.userAuthor,
        earlier: held?.userAuthor,
        between: undefined,
      },
      {
        entity: "user_author",
        key: pairKey(authorId, userId),
        copy: copies.authorUser,
        earlier: held?.authorUser,
        between: { key, copies },
      },
    );
  }

  #isFresh(copy: Copy | undefined, { nowMs }: LoadedFeatures): copy is Copy {
    return copy !== undefined && nowMs - copy.fetchedMs < this.#options.freshMs;
  }

  /** False when there was no answer in time. */
  async #fetch(wanted: readonly Wanted[], loaded: LoadedFeatures, ask: boolean): Promise<boolean> {
    if (wanted.length === 0) return true;
    const { staleMs } = this.#options;
    const values = ask ? await this.#values(wanted) : undefined;
    for (let i = 0; i < wanted.length; i++) {
      const { entity, key, copy, earlier, between } = wanted[i] as Wanted;
      const value = values?.[i];
      if (!isAnswer(value)) {
        loaded.degraded = true;
        const usable = earlier !== undefined && loaded.nowMs - earlier.fetchedMs <= staleMs;
        if (!usable) copy.vector = undefined;
        loaded.count(entity, usable ? "stale" : earlier ? "expired" : "missing", earlier ?? copy);
        continue;
      }
      copy.vector = value === null ? undefined : unpackValue(value, SLOTS[entity]);
      loaded.fresh(entity, copy);
      if (entity !== "user_author") keep(this.#places[entity], key, copy, copy.fetchedMs);
      else if (between !== undefined && isAnswer(values?.[i - 1]))
        keep(this.#between, between.key, between.copies, copy.fetchedMs);
    }
    return values !== undefined;
  }

  /** Undefined when there was no answer in time. */
  async #values(wanted: readonly Wanted[]): Promise<(Buffer | null | Error)[] | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.#options.timeoutMs);
    });
    const keys = wanted.map(({ entity, key }) => this.#keys.of(entity, key));
    try {
      return await Promise.race([this.#groups.getAll(keys), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

const isAnswer = (value: Buffer | null | Error | undefined): value is Buffer | null =>
  value !== undefined && !(value instanceof Error);

/** A place for what is being fetched, with an older vector until it is here. */
const expected = (earlier: Copy | undefined, { nowMs }: LoadedFeatures): Copy => ({
  vector: earlier?.vector,
  fetchedMs: nowMs,
});

const fetchedMs = (copy: Copy | CopiesBetween): number =>
  "userAuthor" in copy ? copy.userAuthor.fetchedMs : copy.fetchedMs;

/** Puts a copy in place of an older one. */
function keep<T extends Copy | CopiesBetween>(
  cache: LRUCache<string, Place<T>>,
  key: string,
  copy: T,
  atMs: number,
): void {
  const place = cache.get(key);
  if (place === undefined) cache.set(key, { copy });
  else if (atMs >= fetchedMs(place.copy)) place.copy = copy;
}
