import type { Event } from "../datasets/events.ts";
import { HEAD_BY_NAME } from "../datasets/heads.ts";
import { compareIds } from "../datasets/ids.ts";
import type { StoredPost } from "./post-store.ts";

/** Popularity halves in this time: long enough to gather counts, short enough that yesterday's hits leave. */
const HALF_LIFE_MS = 6 * 3_600_000;
/** What a deliberate action counts; other welcome actions are too frequent to tell posts apart and count a tenth. */
const DELIBERATE = new Set(["favorite", "reply", "repost", "quote", "share"]);
const OTHER = 0.1;
/** How often the order is made anew, in stream time. */
const REFRESH_MS = 30_000;
/** Longest order that is kept. */
const KEPT = 5000;

interface Popularity {
  readonly postId: string;
  readonly authorId: string;
  readonly createdAtMs: number;
  readonly language: string | undefined;
  /** Decayed to `lastMs`. */
  count: number;
  lastMs: number;
  /** Deleted or forgotten since the order was made. */
  gone: boolean;
}

/** A place in the order. */
interface Ordered {
  readonly post: Popularity;
  readonly stored: StoredPost | undefined;
}

/**
 * Posts by exponentially decayed counts of welcome actions, most popular first: out-of-network candidates and the backfill
 * of short pages. A post that nobody acted on yet counts as its age alone, so new posts fill the tail newest first.
 */
export class PopularPosts {
  readonly #retentionMs: number;
  readonly #posts = new Map<string, Popularity>();
  /** Deleted post → time of the deletion, so that a late create does not bring it back. */
  readonly #tombstones = new Map<string, number>();
  readonly #deletedAuthors = new Map<string, number>();
  readonly #stored: { get(postId: string): StoredPost | undefined } | undefined;
  #order: Ordered[] = [];
  #orderedAtMs = Number.NEGATIVE_INFINITY;

  /** @param stored where posts are kept whole: `top` then gives them too, so that a request does not look them up */
  constructor(retentionHours = 48, stored?: { get(postId: string): StoredPost | undefined }) {
    this.#retentionMs = retentionHours * 3_600_000;
    this.#stored = stored;
  }

  apply(event: Event): void {
    if (event.type === "post_created") {
      if (event.repost_of_post_id !== undefined || event.in_reply_to_post_id !== undefined) return;
      if (this.#posts.has(event.post_id) || this.#tombstones.has(event.post_id)) return;
      if (event.time_ms <= (this.#deletedAuthors.get(event.author_id) ?? -1)) return;
      this.#posts.set(event.post_id, {
        postId: event.post_id,
        authorId: event.author_id,
        createdAtMs: event.time_ms,
        language: event.language,
        count: 0,
        lastMs: event.time_ms,
        gone: false,
      });
    } else if (event.type === "engagement") {
      const post = this.#posts.get(event.post_id);
      const head = HEAD_BY_NAME.get(event.head);
      if (post === undefined || head?.kind !== "binary") return;
      const amount = DELIBERATE.has(event.head) ? 1 : OTHER;
      add(post, event.time_ms, (event.undo ? -1 : 1) * head.sign * amount);
    } else if (event.type === "post_deleted") {
      this.#forget(this.#posts.get(event.post_id));
      this.#tombstones.set(event.post_id, event.time_ms);
    } else if (event.type === "user_deleted") {
      this.#deletedAuthors.set(event.user_id, event.time_ms);
      for (const post of this.#posts.values())
        if (post.authorId === event.user_id) this.#forget(post);
    }
  }

  /** Forgets posts and deletions past retention. */
  trim(nowMs: number): void {
    const oldest = nowMs - this.#retentionMs;
    for (const post of this.#posts.values()) if (post.createdAtMs < oldest) this.#forget(post);
    for (const tombstones of [this.#tombstones, this.#deletedAuthors])
      for (const [id, deletedAt] of tombstones) if (deletedAt < oldest) tombstones.delete(id);
  }

  /**
   * At most `limit` posts for which `wanted` holds, most popular first.
   * @param languages when given and not empty, posts in other known languages are passed over.
   * @returns `inHand` holds each post whole where it is stored, else undefined
   */
  top(
    nowMs: number,
    limit: number,
    languages: ReadonlySet<string>,
    wanted: (postId: string, authorId: string, createdAtMs: number) => boolean,
  ): { postIds: string[]; authorIds: string[]; inHand: (StoredPost | undefined)[] } {
    this.#refresh(nowMs);
    const postIds: string[] = [];
    const authorIds: string[] = [];
    const inHand: (StoredPost | undefined)[] = [];
    for (const { post, stored } of this.#order) {
      if (postIds.length >= limit) break;
      if (languages.size > 0 && post.language !== undefined && !languages.has(post.language))
        continue;
      if (post.createdAtMs > nowMs || post.gone) continue;
      if (!wanted(post.postId, post.authorId, post.createdAtMs)) continue;
      postIds.push(post.postId);
      authorIds.push(post.authorId);
      inHand.push(stored);
    }
    return { postIds, authorIds, inHand };
  }

  /** The decayed count of each post at `nowMs`; 0 for posts that are not kept. */
  counts(postIds: readonly string[], nowMs: number): Float64Array {
    return Float64Array.from(postIds, (id) => {
      const post = this.#posts.get(id);
      return post === undefined ? 0 : decayed(post, nowMs);
    });
  }

  snapshot(): unknown {
    return {
      posts: [...this.#posts.values()],
      tombstones: this.#tombstones,
      deletedAuthors: this.#deletedAuthors,
    };
  }

  restore(snapshot: unknown): void {
    const { posts, tombstones, deletedAuthors } = snapshot as {
      posts: Popularity[];
      tombstones: Map<string, number>;
      deletedAuthors: Map<string, number>;
    };
    // Of one layout with what `apply` makes: a copy by spreading is several times as slow to read.
    for (const { postId, authorId, createdAtMs, language, count, lastMs } of posts)
      this.#posts.set(postId, {
        postId,
        authorId,
        createdAtMs,
        language,
        count,
        lastMs,
        gone: false,
      });
    for (const [id, time] of tombstones) this.#tombstones.set(id, time);
    for (const [id, time] of deletedAuthors) this.#deletedAuthors.set(id, time);
    this.#orderedAtMs = Number.NEGATIVE_INFINITY;
  }

  #forget(post: Popularity | undefined): void {
    if (post === undefined) return;
    post.gone = true;
    this.#posts.delete(post.postId);
  }

  #refresh(nowMs: number): void {
    if (Math.abs(nowMs - this.#orderedAtMs) < REFRESH_MS) return;
    this.#orderedAtMs = nowMs;
    const oldest = nowMs - this.#retentionMs;
    const scored: { post: Popularity; score: number }[] = [];
    for (const post of this.#posts.values()) {
      if (post.createdAtMs < oldest) continue;
      // A twentieth of one action for the newest post: it ranks among the unacted-on, never above an action.
      const fresh = 0.05 * 2 ** (-Math.max(0, nowMs - post.createdAtMs) / HALF_LIFE_MS);
      scored.push({ post, score: decayed(post, nowMs) + fresh });
    }
    scored.sort((a, b) => b.score - a.score || compareIds(a.post.postId, b.post.postId));
    this.#order = scored
      .slice(0, KEPT)
      .map(({ post }) => ({ post, stored: this.#stored?.get(post.postId) }));
  }
}

function decayed(post: Popularity, nowMs: number): number {
  return post.count * 2 ** (-Math.max(0, nowMs - post.lastMs) / HALF_LIFE_MS);
}

function add(post: Popularity, timeMs: number, amount: number): void {
  if (timeMs >= post.lastMs) {
    post.count = decayed(post, timeMs) + amount;
    post.lastMs = timeMs;
  } else {
    post.count += amount * 2 ** (-(post.lastMs - timeMs) / HALF_LIFE_MS);
  }
}
