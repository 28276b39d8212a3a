import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Logger } from "pino";
import type { PostStore, StoredPost } from "../../candidates/post-store.ts";
import { loadIndex, openIndex } from "../../candidates/vector-index/open-index.ts";
import type { Neighbours, VectorIndex } from "../../candidates/vector-index/vector-index.ts";
import type { Event } from "../../datasets/events.ts";
import { RoostError } from "../../errors.ts";
import type { Bundle } from "../../features/bundle.ts";
import type { StateView } from "../../features/entities.ts";
import type { FeatureLoad } from "../../features/redis/redis-reads.ts";
import { towersOf } from "../../features/tower-bundle.ts";
import { MEDIA_KINDS, POST_TOWER, USER_TOWER } from "../../features/tower-inputs.ts";
import { TowerReader } from "../../features/tower-reader.ts";
import { TowerRows } from "../../features/tower-rows.ts";
import type { FeatureSource } from "../hydrators/features.ts";
import { TowerSession, type TowerSessionOptions } from "../inference/tower-session.ts";

/** Posts embedded at once: reading them takes about a millisecond of the event loop. */
const BATCH = 64;
/** Post vectors are nobody's. */
const NOBODY = "0";
/** The user tower reads a viewer's taste for each kind of media. */
const MEDIA = MEDIA_KINDS.map((_, kind) => kind);
/** Posts older than this are not retrieved; the post store forgets them then too. */
export const WINDOW_MS = 48 * 3_600_000;
/** A vector is made anew when the post's age has grown by half since, and by this at the least. */
const AGE_GROWTH = 1.5;
const LEAST_WAIT_MS = 600_000;

export interface PostVectorParts {
  readonly posts: PostStore;
  readonly features: FeatureSource;
  /** Where the index is kept. */
  readonly dir: string;
  readonly nowMs: () => number;
  /** How towers are run. */
  readonly session?: TowerSessionOptions;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
  /** Told which posts of the towers in place can be found from now on, and which no more. */
  readonly onChange?: {
    found(postIds: readonly string[]): void;
    forgotten(postIds: readonly string[]): void;
  };
}

/** Both towers of one training and the index of what the post tower made. */
interface Towers {
  readonly version: string;
  readonly user: TowerSession;
  readonly post: TowerSession;
  readonly index: VectorIndex;
  readonly rows: TowerRows;
  /** Post → moment of its vector. */
  readonly madeAtMs: Map<string, number>;
  /** Posts whose vector is to be made. */
  readonly pending: Set<string>;
  pumping: Promise<void> | undefined;
  /** Searches under way: the towers stay until they are done. */
  readonly searches: Set<Promise<unknown>>;
}

/**
 * The vectors of all posts that can be retrieved: made when a post is written and again as it ages, taken out when it is
 * deleted or past 48 h. Another version of the towers gets an index of its own in the background and takes over when that is full.
 */
export class PostVectors {
  readonly #parts: PostVectorParts;
  readonly #reader = new TowerReader();
  readonly #viewer = new TowerRows(USER_TOWER, 1);
  #current: Towers | undefined;
  #next: Towers | undefined;
  #expected = false;
  #replacing: Promise<void> = Promise.resolve();
  #closed = false;
  #removing: Promise<unknown> = Promise.resolve();

  constructor(parts: PostVectorParts) {
    this.#parts = parts;
  }

  /** Whether there are towers at all; they may not be ready yet. */
  get enabled(): boolean {
    return this.#expected;
  }

  get ready(): boolean {
    return this.#current !== undefined;
  }

  /** Posts that a search can find. */
  get size(): number {
    return this.#current?.index.size ?? 0;
  }

  /** The version of the towers in place. */
  get version(): string | undefined {
    return this.#current?.version;
  }

  /** Says that there are towers, which may take their time to be in place. */
  expect(): void {
    this.#expected = true;
  }

  /**
   * Puts the towers of a version in place: the saved index is taken where it is theirs, else one is built in the
   * background. Resolves when it is in place; until then the old towers serve on.
   * @throws BAD_BUNDLE when the towers do not load
   */
  replace(bundle: Bundle): Promise<void> {
    this.expect();
    const replaced = this.#replacing.then(() => this.#replace(bundle));
    this.#replacing = replaced.catch(() => {});
    return replaced;
  }

  /** The viewer's vector now. @throws NOT_READY while there is no index */
  async viewer(userId: string, nowMs: number): Promise<Float32Array> {
    return this.#vector(this.#inPlace(), userId, nowMs);
  }

  /**
   * The posts nearest to a viewer as of now, best first: vector and index are of one training, also when another takes its
   * place meanwhile.
   * @throws NOT_READY while there is no index; the signal's reason when it aborts
   */
  async nearest(
    userId: string,
    nowMs: number,
    k: number,
    signal?: AbortSignal,
  ): Promise<Neighbours> {
    const towers = this.#inPlace();
    const search = this.#vector(towers, userId, nowMs, signal).then((vector) => {
      signal?.throwIfAborted();
      return towers.index.search(vector, k);
    });
    towers.searches.add(search);
    try {
      return await search;
    } finally {
      towers.searches.delete(search);
    }
  }

  /** The posts nearest to a vector of the towers in place, best first. @throws NOT_READY while there is no index */
  async search(vector: Float32Array, k: number): Promise<Neighbours> {
    return this.#inPlace().index.search(vector, k);
  }

  async #vector(
    { user }: Towers,
    userId: string,
    nowMs: number,
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    const view = await this.#view({ userId, postIds: [], authorIds: [], mediaKinds: MEDIA });
    const rows = this.#viewer;
    rows.clear();
    this.#reader.user(view, userId, nowMs, rows);
    return user.run(rows, signal);
  }

  /** Takes events that the post store and the features already reflect. */
  apply(events: readonly Event[]): void {
    for (const towers of this.#all())
      for (const event of events) {
        if (event.type === "post_created") this.#want(towers, event.post_id);
        else if (event.type === "post_deleted") this.#forget(towers, [event.post_id]);
        else if (event.type === "user_deleted") this.#forget(towers, this.#unknown(towers));
      }
  }

  /** Takes out what is past the window and has aged vectors made anew. */
  tend(nowMs: number): void {
    for (const towers of this.#all()) {
      const gone: string[] = this.#unknown(towers);
      for (const [postId, madeAtMs] of towers.madeAtMs) {
        const post = this.#parts.posts.get(postId);
        if (post === undefined) continue;
        if (post.createdAtMs < nowMs - WINDOW_MS) gone.push(postId);
        else if (isDue(post, madeAtMs, nowMs)) towers.pending.add(postId);
      }
      this.#forget(towers, gone);
      this.#pump(towers);
    }
  }

  /** Resolves when every post that was written by now can be found. */
  async settled(): Promise<void> {
    await this.#replacing;
    while (this.#current?.pumping !== undefined) await this.#current.pumping;
  }

  /** Resolves when posts that were to be forgotten by now can be found no more. */
  async forgotten(): Promise<void> {
    await this.#removing;
  }

  /** Saves the index for the next start and ends the worker. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#replacing;
    const towers = this.#current;
    this.#current = undefined;
    if (towers === undefined) return;
    await towers.pumping;
    await towers.index
      .save(this.#parts.dir, { towers: towers.version })
      .catch((error: Error) =>
        this.#parts.logger.error({ problem: error.message }, "the vector index was not saved"),
      );
    await end(towers);
  }

  #inPlace(): Towers {
    if (this.#current === undefined)
      throw new RoostError(
        "NOT_READY",
        "there is no index of post vectors: it is being built, or its towers were refused",
      );
    return this.#current;
  }

  #all(): Towers[] {
    return [this.#current, this.#next].filter((towers) => towers !== undefined);
  }

  async #replace(bundle: Bundle): Promise<void> {
    const { version } = bundle.manifest;
    if (this.#closed || this.#current?.version === version) return;
    const described = towersOf(bundle);
    const { session } = this.#parts;
    const user = await TowerSession.start(described.user, session);
    let post: TowerSession | undefined;
    let index: VectorIndex;
    try {
      post = await TowerSession.start(described.post, session);
      index = await this.#openIndex(version, post.dimension);
    } catch (error) {
      // Else their worker threads would stay.
      await post?.close();
      await user.close();
      throw error;
    }
    const towers: Towers = {
      version,
      user,
      post,
      index,
      rows: new TowerRows(POST_TOWER, BATCH),
      madeAtMs: new Map(),
      pending: new Set(),
      pumping: undefined,
      searches: new Set(),
    };
    this.#next = towers;
    const nowMs = this.#parts.nowMs();
    for (const id of index.ids()) towers.madeAtMs.set(id, nowMs);
    for (const { postId } of this.#parts.posts.values())
      if (!index.has(postId)) this.#want(towers, postId);
    this.#forget(towers, this.#unknown(towers));
    while (towers.pumping !== undefined) await towers.pumping;
    this.#next = undefined;
    if (this.#closed) {
      await end(towers);
      return;
    }
    const old = this.#current;
    this.#current = towers;
    this.#parts.logger.info(
      { version, index: index.kind, posts: index.size, inline: user.inline },
      "towers in place",
    );
    if (old !== undefined) await end(old);
  }

  /** The saved index of this version, or an empty one; what cannot be used is put aside. */
  async #openIndex(version: string, dimension: number): Promise<VectorIndex> {
    const { dir, logger } = this.#parts;
    if (existsSync(dir))
      try {
        const index = await loadIndex(dir, { towers: version });
        if (index.dimension === dimension) return index;
        await index.close();
      } catch (error) {
        if (!(error instanceof RoostError)) throw error;
        logger.warn({ reason: error.message }, "the vector index is built anew");
        await rm(`${dir}.refused`, { recursive: true, force: true });
        await rename(dir, `${dir}.refused`);
      }
    return openIndex(dimension, (reason) =>
      logger.warn(
        { reason },
        "hnswlib-node cannot be used: posts are searched exactly, and slower",
      ),
    );
  }

  #unknown(towers: Towers): string[] {
    return [...towers.index.ids()].filter((id) => this.#parts.posts.get(id) === undefined);
  }

  #want(towers: Towers, postId: string): void {
    if (!retrievable(this.#parts.posts.get(postId))) return;
    towers.pending.add(postId);
    this.#pump(towers);
  }

  #forget(towers: Towers, ids: readonly string[]): void {
    for (const id of ids) {
      towers.pending.delete(id);
      towers.madeAtMs.delete(id);
    }
    const known = ids.filter((id) => towers.index.has(id));
    const removed = known.length > 0 ? towers.index.remove(known) : Promise.resolve();
    const told = removed.then(() => this.#inPlaceOf(towers)?.forgotten(ids)).catch(this.#failed);
    this.#removing = Promise.all([this.#removing, told]);
  }

  /** Who is told of changes of these towers: of those that are not in place yet nobody. */
  #inPlaceOf(towers: Towers): PostVectorParts["onChange"] {
    return towers === this.#current ? this.#parts.onChange : undefined;
  }

  #pump(towers: Towers): void {
    if (towers.pumping !== undefined || towers.pending.size === 0) return;
    towers.pumping = this.#makeAll(towers)
      .catch(this.#failed)
      .finally(() => {
        towers.pumping = undefined;
        // What came in while the last batch was awaited.
        if (!this.#closed) this.#pump(towers);
      });
  }

  async #makeAll(towers: Towers): Promise<void> {
    while (towers.pending.size > 0 && !this.#closed) {
      await nextTurn();
      const batch: StoredPost[] = [];
      for (const id of towers.pending) {
        towers.pending.delete(id);
        const post = this.#parts.posts.get(id);
        if (retrievable(post)) batch.push(post);
        if (batch.length === BATCH) break;
      }
      if (batch.length > 0) await this.#make(towers, batch);
    }
  }

  async #make(towers: Towers, posts: readonly StoredPost[]): Promise<void> {
    const nowMs = this.#parts.nowMs();
    const { rows } = towers;
    const view = await this.#view({
      userId: NOBODY,
      postIds: posts.map(({ postId }) => postId),
      authorIds: posts.map(({ authorId }) => authorId),
    });
    rows.clear();
    this.#reader.begin(view, nowMs);
    for (const { postId, authorId } of posts) this.#reader.post(view, postId, authorId, rows);
    const vectors = await towers.post.run(rows);
    // Deleted while the tower ran.
    const kept = posts.flatMap(({ postId }, i) =>
      this.#parts.posts.get(postId) === undefined ? [] : [{ postId, i }],
    );
    const d = towers.post.dimension;
    const packed = new Float32Array(kept.length * d);
    kept.forEach(({ i }, at) => {
      packed.set(vectors.subarray(i * d, (i + 1) * d), at * d);
    });
    for (const { postId } of kept) towers.madeAtMs.set(postId, nowMs);
    const ids = kept.map(({ postId }) => postId);
    await towers.index.add(ids, packed);
    this.#inPlaceOf(towers)?.found(ids);
  }

  /** The state to read, fetched where it is not in this process. */
  async #view(wanted: FeatureLoad): Promise<StateView> {
    const { features } = this.#parts;
    return features.load === undefined ? features : features.load(wanted);
  }

  readonly #failed = (error: unknown): void => {
    if (!this.#closed) this.#parts.logger.error({ err: error }, "making post vectors failed");
  };
}

/** Whether towers make vectors of the post: reposts are found by what they repost. */
export const retrievable = (post: StoredPost | undefined): post is StoredPost =>
  post !== undefined && post.kind !== "repost";

/** Whether a post's vector, made then, is to be made anew: soon for young posts, ever later for old ones. */
export function isDue(post: StoredPost, madeAtMs: number, nowMs: number): boolean {
  const then = Math.max(0, madeAtMs - post.createdAtMs);
  return nowMs - post.createdAtMs >= AGE_GROWTH * then + LEAST_WAIT_MS;
}

async function end({ user, post, index, pumping, searches }: Towers): Promise<void> {
  await pumping;
  await Promise.allSettled(searches);
  await index.close();
  await user.close();
  await post.close();
}
