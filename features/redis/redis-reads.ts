import { LRUCache } from "lru-cache";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { RedisGroups } from "../../datasets/storage/redis-groups.ts";
import { ENTITIES, type Entity, GLOBAL_KEY, pairKey, TOPICS_PER_POST } from "../entities.ts";
import { eachFollow } from "../families/follow-list.ts";
import { isCreated, POST } from "../families/post-content.ts";
import { INTEREST_OFFSETS } from "../reader.ts";
import { SLOTS } from "../registry.ts";
import type { AuthorVectors, Between } from "../shared-reads.ts";
import { FeatureKeys } from "./feature-keys.ts";
import { LoadedFeatures, READ_STATUSES, type ReadStatus } from "./loaded-features.ts";
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

/** A copy of what was fetched. A newer one takes its place in here, which costs less than to put that into the cache. */
interface Copy<T> {
  value: T;
  fetchedMs: number;
}
type Vector = Float64Array | undefined;

/** What a request still has to fetch. */
interface Wanted {
  readonly entity: Entity;
  readonly key: string;
  /** What was fetched earlier. */
  readonly earlier: Copy<Vector> | Copy<Between> | undefined;
  /** Of a post: its place in the request. */
  readonly post: number;
  /** Of an author and of what is between it and the viewer. */
  readonly author: AuthorVectors | undefined;
  /** Of the author's state towards the viewer, which stands behind the viewer's own: both are kept as one, under this key. */
  readonly pairKey: string | undefined;
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
  readonly #copies: Readonly<Record<Single, LRUCache<string, Copy<Vector>>>>;
  /** Both directions of a pair, by viewer and author. */
  readonly #pairs: LRUCache<string, Copy<Between>>;

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
    this.#copies = Object.fromEntries(
      SINGLE.map((entity) => [entity, new LRUCache({ max: most(entity, 1) })]),
    ) as Record<Single, LRUCache<string, Copy<Vector>>>;
    this.#pairs = new LRUCache({ max: most("user_author", 2) });
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
    this.#needAuthors(
      request.authorIds,
      this.#options.entities.has("user_author"),
      loaded,
      authors,
    );
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
    if (!entities.has("post")) return;
    const copies = this.#found("post", postIds);
    for (let i = 0; i < postIds.length; i++)
      loaded.posts.push(this.#take("post", postIds[i] as string, copies[i], loaded, wanted, i));
  }

  /** Authors that the request has not met, and with `pairs` what there is between them and the viewer. */
  #needAuthors(
    authorIds: readonly string[],
    pairs: boolean,
    loaded: LoadedFeatures,
    wanted: Wanted[],
  ): void {
    const { userId, authors } = loaded;
    const ids: string[] = [];
    const met: AuthorVectors[] = [];
    for (let i = 0; i < authorIds.length; i++) {
      const authorId = authorIds[i] as string;
      if (authors.has(authorId)) continue;
      const author = { author: undefined, pair: undefined };
      authors.set(authorId, author);
      ids.push(authorId);
      met.push(author);
    }
    const copies = this.#found("author", ids);
    for (let i = 0; i < ids.length; i++) {
      const author = met[i] as AuthorVectors;
      author.author = this.#take("author", ids[i] as string, copies[i], loaded, wanted, -1, author);
    }
    if (!pairs) return;
    const between = ids.map((authorId) => this.#pairs.peek(pairKey(userId, authorId)));
    for (let i = 0; i < ids.length; i++)
      this.#takePair(ids[i] as string, met[i] as AuthorVectors, between[i], loaded, wanted);
  }

  /** Of what is loaded by now: authors that the viewer follows, and what the posts' topics and media are the keys of. */
  #needSecond(request: FeatureLoad, loaded: LoadedFeatures, wanted: Wanted[]): void {
    const { userId } = request;
    const { entities } = this.#options;
    const follows = loaded.get("user_follows", userId);
    if (follows !== undefined) {
      const followed: string[] = [];
      eachFollow(follows, INTEREST_OFFSETS.followList, (id) => followed.push(id));
      this.#needAuthors(followed, false, loaded, wanted);
    }
    const readsTopics = entities.has("topic") || entities.has("user_topic");
    if (!readsTopics && !entities.has("user_media")) return;
    for (let i = 0; i < loaded.posts.length; i++) {
      const post = loaded.posts[i];
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
    if (loaded.has(entity, key)) return;
    const copy = this.#copies[entity].peek(key);
    loaded.put(entity, key, this.#take(entity, key, copy, loaded, wanted));
  }

  /**
   * Copies of these keys. All are looked up before any is looked at, so that the processor waits for many of them at once.
   * Moves nothing: whoever is in use is fetched again each second, and is moved then.
   */
  #found(entity: Single, keys: readonly string[]): (Copy<Vector> | undefined)[] {
    const copies = this.#copies[entity];
    return keys.map((key) => copies.peek(key));
  }

  /** What a copy holds; one that is not fresh is noted as wanted. */
  #take(
    entity: Single,
    key: string,
    copy: Copy<Vector> | undefined,
    loaded: LoadedFeatures,
    wanted: Wanted[],
    post = -1,
    author?: AuthorVectors,
  ): Vector {
    if (copy !== undefined && this.#isFresh(copy, loaded))
      loaded.fresh(entity, copy.value, copy.fetchedMs);
    else wanted.push({ entity, key, earlier: copy, post, author, pairKey: undefined });
    return copy?.value;
  }

  /** The same for both directions of a pair. */
  #takePair(
    authorId: string,
    author: AuthorVectors,
    copy: Copy<Between> | undefined,
    loaded: LoadedFeatures,
    wanted: Wanted[],
  ): void {
    const { userId } = loaded;
    if (copy !== undefined && this.#isFresh(copy, loaded)) {
      author.pair = copy.value;
      loaded.fresh("user_author", copy.value.userAuthor, copy.fetchedMs);
      loaded.fresh("user_author", copy.value.authorUser, copy.fetchedMs);
      return;
    }
    const { userAuthor, authorUser } = copy?.value ?? NOTHING_BETWEEN;
    author.pair = { userAuthor, authorUser };
    const both = { entity: "user_author", earlier: copy, post: -1, author } as const;
    const key = pairKey(userId, authorId);
    wanted.push(
      { ...both, key, pairKey: undefined },
      { ...both, key: pairKey(authorId, userId), pairKey: key },
    );
  }

  #isFresh({ fetchedMs }: Copy<unknown>, { nowMs }: LoadedFeatures): boolean {
    return nowMs - fetchedMs < this.#options.freshMs;
  }

  /** False when there was no answer in time. */
  async #fetch(wanted: readonly Wanted[], loaded: LoadedFeatures, ask: boolean): Promise<boolean> {
    if (wanted.length === 0) return true;
    const values = ask ? await this.#values(wanted) : undefined;
    for (let i = 0; i < wanted.length; i++) {
      const each = wanted[i] as Wanted;
      const value = values?.[i];
      if (isAnswer(value)) this.#answered(each, value, isAnswer(values?.[i - 1]), loaded);
      else this.#unanswered(each, loaded);
    }
    return values !== undefined;
  }

  /** @param before whether what was wanted before it was answered too */
  #answered(wanted: Wanted, value: Buffer | null, before: boolean, loaded: LoadedFeatures): void {
    const { entity, key, author } = wanted;
    const { nowMs } = loaded;
    const vector = value === null ? undefined : unpackValue(value, SLOTS[entity]);
    put(wanted, vector, loaded);
    loaded.fresh(entity, vector, nowMs);
    if (entity !== "user_author") keep(this.#copies[entity], key, vector, nowMs);
    else if (wanted.pairKey !== undefined && before)
      keep(this.#pairs, wanted.pairKey, author?.pair as Between, nowMs);
  }

  /** An earlier copy stands in, unless it is too old. */
  #unanswered(wanted: Wanted, loaded: LoadedFeatures): void {
    const { entity, earlier } = wanted;
    loaded.degraded = true;
    const fetchedMs = earlier?.fetchedMs ?? loaded.nowMs;
    const usable = earlier !== undefined && loaded.nowMs - fetchedMs <= this.#options.staleMs;
    put(wanted, usable ? vectorOf(earlier.value, wanted) : undefined, loaded);
    loaded.count(entity, usable ? "stale" : earlier ? "expired" : "missing", fetchedMs);
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

const NOTHING_BETWEEN: Between = { userAuthor: undefined, authorUser: undefined };

/** Puts what was wanted where the request looks. */
function put(wanted: Wanted, vector: Vector, loaded: LoadedFeatures): void {
  const { entity, key, post, author } = wanted;
  if (entity === "post") loaded.posts[post] = vector;
  else if (author === undefined) loaded.put(entity, key, vector);
  else if (entity === "author") author.author = vector;
  else {
    const pair = author.pair ?? NOTHING_BETWEEN;
    author.pair =
      wanted.pairKey === undefined
        ? { ...pair, userAuthor: vector }
        : { ...pair, authorUser: vector };
  }
}

/** What a copy holds of what is wanted. */
function vectorOf(value: Vector | Between, { pairKey }: Wanted): Vector {
  if (value === undefined || value instanceof Float64Array) return value;
  return pairKey === undefined ? value.userAuthor : value.authorUser;
}

/** Keeps a copy, unless there is a newer one. */
function keep<T>(cache: LRUCache<string, Copy<T>>, key: string, value: T, fetchedMs: number): void {
  const copy = cache.get(key);
  if (copy === undefined) cache.set(key, { value, fetchedMs });
  else if (fetchedMs >= copy.fetchedMs) {
    copy.value = value;
    copy.fetchedMs = fetchedMs;
  }
}
