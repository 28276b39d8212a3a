import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  ENTITIES,
  type Entity,
  GLOBAL_KEY,
  pairKey,
  TOPICS_PER_POST,
  type VectorHolder,
} from "../entities.ts";
import { eachFollow } from "../families/follow-list.ts";
import { isCreated, POST } from "../families/post-content.ts";
import type { KeptRows } from "../kept-rows.ts";
import { INTEREST_OFFSETS } from "../row-context.ts";
import type { AuthorVectors, Between } from "../shared-reads.ts";
import {
  FeatureCopies,
  type FeatureCopy,
  type PairCopy,
  type Single,
  type Vector,
} from "./feature-copies.ts";
import { LoadedFeatures, READ_STATUSES, type ReadStatus } from "./loaded-features.ts";
import type { Wanted } from "./wanted.ts";
import { WantedFetch } from "./wanted-fetch.ts";

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
/** Some 17,000 posts or 48,000 pairs, both ways; twelve entities of this, most of which have few keys. */
const CACHE_BYTES = 32_000_000;

/** Who asks, and about what. */
export interface FeatureLoad {
  readonly userId: string;
  /** The moment that ages and decays are told by, epoch ms: with it, what is made of fresh copies is kept with them. */
  readonly nowMs?: number;
  readonly surface?: string;
  readonly postIds: readonly string[];
  /** The posts themselves where they are at hand, in the same order: looked up once, each remembers where its vector is. */
  readonly inHand?: readonly (VectorHolder | undefined)[];
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
  readonly #fetch: WantedFetch;
  readonly #now: () => number;
  readonly #options: Required<Omit<RedisReadsOptions, "cacheBytes">>;
  #copies: FeatureCopies;
  readonly #cacheBytes: number;

  /** @param now milliseconds that never go back: the age of copies is told by them */
  constructor(connection: RedisConnection, now: () => number, options: RedisReadsOptions = {}) {
    this.#now = now;
    const { cacheBytes = CACHE_BYTES, ...others } = options;
    this.#options = {
      freshMs: FRESH_MS,
      staleMs: STALE_MS,
      timeoutMs: TIMEOUT_MS,
      entities: new Set(ENTITIES),
      ...others,
    };
    this.#fetch = new WantedFetch(connection, this.#options);
    this.#cacheBytes = cacheBytes;
    this.#copies = new FeatureCopies(cacheBytes);
  }

  /** Calls `follow` with what each request was given. */
  onLoaded(follow: (loaded: LoadedFeatures) => void): void {
    this.#followers.push(follow);
  }

  /** Drops all copies, those that are on their way too: what was removed from Redis is used no more. */
  forget(): void {
    this.#copies.clear();
    this.#copies = new FeatureCopies(this.#cacheBytes);
  }

  /** How long a request waits in each of its two rounds. */
  get timeoutMs(): number {
    return this.#options.timeoutMs;
  }

  /** What a `FeatureReader` looks at for these candidates. Never fails: see `degraded` of what it gives. */
  async load(request: FeatureLoad): Promise<LoadedFeatures> {
    const loaded = new LoadedFeatures(request, this.#now());
    const first: Wanted[] = [];
    const authors: Wanted[] = this.#fetch.shared ? first : [];
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
    const posts = this.#fetch.fetch(first, loaded, this.#copies);
    // On its way behind the posts: while it is, their topics are asked for. On a cluster keys of one slot share a command,
    // and half as many commands save more than that.
    const others = authors === first ? posts : this.#fetch.fetch(authors, loaded, this.#copies);
    const answered = await posts;
    if (first.length > 0) this.#needSecond(request, loaded, second);
    // Redis that did not answer the first time is not waited for again.
    const rest = answered
      ? this.#fetch.fetch(second, loaded, this.#copies)
      : this.#fetch.standIn(second, loaded);
    await Promise.all([others, rest]);
    // What everybody's rates are compared with may be missing: nobody else is to get what is made with that.
    if (loaded.degraded) loaded.keepNothing();
    for (const entity of ENTITIES)
      for (const status of READ_STATUSES)
        this.counts[entity][status] += loaded.counts[entity][status];
    for (const follow of this.#followers) follow(loaded);
    return loaded;
  }

  #needFirst(request: FeatureLoad, loaded: LoadedFeatures, wanted: Wanted[]): void {
    const { userId, surface, postIds, inHand } = request;
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
    const copies = this.#copies.findAll("post", postIds, inHand);
    for (let i = 0; i < postIds.length; i++) {
      loaded.posts.push(this.#take("post", postIds[i] as string, copies[i], loaded, wanted, i));
      loaded.kept.push(this.#keptOf(copies[i], loaded));
    }
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
      const author = { author: undefined, pair: undefined, kept: undefined };
      authors.set(authorId, author);
      ids.push(authorId);
      met.push(author);
    }
    const between = pairs ? this.#copies.findPairs(userId, ids) : undefined;
    const copies = this.#copies.findAll("author", ids, between);
    for (let i = 0; i < ids.length; i++) {
      const author = met[i] as AuthorVectors;
      author.author = this.#take("author", ids[i] as string, copies[i], loaded, wanted, -1, author);
      author.kept = this.#keptOf(copies[i], loaded);
    }
    if (between === undefined) return;
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
    const copy = this.#copies.find(entity, key);
    loaded.put(entity, key, this.#take(entity, key, copy, loaded, wanted));
  }

  /** What a copy holds; one that is not fresh is noted as wanted. */
  #take(
    entity: Single,
    key: string,
    copy: FeatureCopy | undefined,
    loaded: LoadedFeatures,
    wanted: Wanted[],
    post = -1,
    author?: AuthorVectors,
  ): Vector {
    if (copy !== undefined && this.#isFresh(copy, loaded))
      loaded.fresh(entity, copy.vector, copy.fetchedMs);
    else
      wanted.push({
        entity,
        key,
        earlier: copy?.vector,
        earlierMs: copy?.fetchedMs ?? Number.NaN,
        post,
        author,
        pair: undefined,
        pairAuthorId: undefined,
      });
    return copy?.vector;
  }

  /** Of a fresh copy; what is fetched now may not be asked for again. */
  #keptOf(copy: FeatureCopy | undefined, loaded: LoadedFeatures): KeptRows | undefined {
    return copy !== undefined && this.#isFresh(copy, loaded)
      ? copy.keptFor(loaded.asOfMs, this.#options.freshMs)
      : undefined;
  }

  /** The same for both directions of a pair. */
  #takePair(
    authorId: string,
    author: AuthorVectors,
    copy: PairCopy | undefined,
    loaded: LoadedFeatures,
    wanted: Wanted[],
  ): void {
    const { userId } = loaded;
    if (copy !== undefined && this.#isFresh(copy, loaded)) {
      const { between, fetchedMs } = copy;
      author.pair = between;
      loaded.fresh("user_author", between.userAuthor, fetchedMs);
      loaded.fresh("user_author", between.authorUser, fetchedMs);
      return;
    }
    const pair = { ...(copy?.between ?? NOTHING_BETWEEN) };
    author.pair = pair;
    const key = pairKey(userId, authorId);
    const back = pairKey(authorId, userId);
    const entity = "user_author";
    const earlierMs = copy?.fetchedMs ?? Number.NaN;
    // Written out: spread objects are made more slowly, and are of another shape.
    wanted.push(
      {
        entity,
        key,
        earlier: pair.userAuthor,
        earlierMs,
        post: -1,
        author: undefined,
        pair,
        pairAuthorId: undefined,
      },
      {
        entity,
        key: back,
        earlier: pair.authorUser,
        earlierMs,
        post: -1,
        author: undefined,
        pair,
        pairAuthorId: authorId,
      },
    );
  }

  #isFresh({ fetchedMs }: FeatureCopy | PairCopy, { nowMs }: LoadedFeatures): boolean {
    return nowMs - fetchedMs < this.#options.freshMs;
  }
}

const NOTHING_BETWEEN: Between = { userAuthor: undefined, authorUser: undefined };
