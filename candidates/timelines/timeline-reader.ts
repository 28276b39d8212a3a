import type { StoredPost } from "../post-store.ts";
import type { PushFacts } from "./build-timeline.ts";
import { showsTo, type TimelineFacts } from "./following-rule.ts";
import { placeOf, postsByTime } from "./posts-by-time.ts";
import type { ReaderActivity } from "./reader-activity.ts";
import { byPlace, type TimelineEntry, type TimelineStore } from "./timeline-store.ts";

export interface TimelineReaderParts extends PushFacts {
  readonly activity: ReaderActivity;
  readonly store: TimelineStore;
  /** What this process knows of fan-out: its own consumer, or the position that another one keeps with the store. */
  readonly fanOut: {
    readonly position: { readonly timeMs: number };
    isPulled(authorId: string): boolean;
    isRebuilding(userId: string): boolean;
    rebuild(userId: string, nowMs: number): void;
  };
  /** Told when the store does not answer; the answer then comes from the posts in memory. */
  readonly onError?: (error: unknown) => void;
}

export interface TimelineRequest {
  readonly limit: number;
  /** The last post of the page before. */
  readonly after?: TimelineEntry | undefined;
  readonly nowMs: number;
}

export interface TimelinePosts {
  /** Newest first, ties by ascending id. */
  readonly posts: readonly StoredPost[];
  /** Where the next page goes on; undefined at the end. */
  readonly next: TimelineEntry | undefined;
  /** There was no timeline, and it is being made. */
  readonly rebuilt: boolean;
  /** Fan-out is behind, so that the posts were looked up by author. */
  readonly supplemented: boolean;
  /** The store did not answer, so that the posts were looked up by author. */
  readonly degraded: boolean;
}

/** Gap between the newest event and the newest that fan-out has dealt with from which stored timelines are not relied on. */
const STALE_AFTER_MS = 300_000;

/**
 * Following timelines, newest first: the stored timeline merged with posts by authors that are not pushed, each entry judged anew by
 * `showsTo`, so that what was deleted, unfollowed, muted or blocked a moment ago is not shown. Past the stored entries it goes on in the
 * posts in memory. The viewer's own posts are in it only when they follow themselves.
 */
export class TimelineReader {
  readonly #parts: TimelineReaderParts;

  constructor(parts: TimelineReaderParts) {
    this.#parts = parts;
  }

  async read(userId: string, request: TimelineRequest): Promise<TimelinePosts> {
    const { posts, activity, fanOut, onError } = this.#parts;
    const said = { rebuilt: false, supplemented: false, degraded: false };
    // To who was not here nothing is pushed, so what is stored may have a hole.
    const wasHere = activity.lastMs(userId) !== undefined;
    if (wasHere) activity.note(userId, request.nowMs);
    if (posts.newestMs - fanOut.position.timeMs > STALE_AFTER_MS)
      return { ...this.#fromPosts(userId, request), ...said, supplemented: true };
    try {
      const reliable = wasHere && !fanOut.isRebuilding(userId);
      const found = reliable ? await this.#fromTimeline(userId, request) : undefined;
      if (found !== undefined) return { ...found, ...said };
    } catch (error) {
      onError?.(error);
      return { ...this.#fromPosts(userId, request), ...said, degraded: true };
    }
    fanOut.rebuild(userId, request.nowMs);
    return { ...this.#fromPosts(userId, request), ...said, rebuilt: true };
  }

  /** @returns undefined when there is no stored timeline */
  async #fromTimeline(
    userId: string,
    { limit, after, nowMs }: TimelineRequest,
  ): Promise<Page | undefined> {
    const { posts, graph, store, fanOut } = this.#parts;
    const found: StoredPost[] = [];
    // Some more than asked for, because some will not be shown.
    const chunk = limit + (limit >> 2) + 4;
    for (let place = after; ; ) {
      // Before the store is asked: what is delivered until it answers is then in the answer or merged.
      const pulled = new Set<string>();
      for (const authorId of graph.following(userId))
        if (fanOut.isPulled(authorId)) pulled.add(authorId);
      const timeline = await store.read(userId, { after: place, limit: chunk });
      if (timeline === undefined) return undefined;
      const { entries, floorMs } = timeline;
      const bottom = entries.length < chunk ? undefined : entries.at(-1);
      const wanted = limit - found.length;
      const merged: StoredPost[] = [];
      for (const { postId, timeMs } of entries) {
        const post = posts.get(postId);
        if (post === undefined || timeMs > nowMs || pulled.has(post.authorId)) continue;
        if (showsTo(userId, post, this.#parts)) merged.push(post);
      }
      let more = wanted;
      for (const post of postsByTime(posts, pulled, nowMs, place)) {
        if (bottom === undefined ? post.createdAtMs <= floorMs : byPlace(placeOf(post), bottom) > 0)
          break;
        if (!showsTo(userId, post, this.#parts)) continue;
        merged.push(post);
        if (--more === 0) break;
      }
      merged.sort((a, b) => byPlace(placeOf(a), placeOf(b)));
      for (const post of merged.slice(0, wanted)) found.push(post);
      if (found.length === limit) return pageOf(found, limit);
      if (bottom === undefined) {
        if (floorMs >= 0) this.#olderThan(userId, floorMs, { limit, after: place, nowMs }, found);
        return pageOf(found, limit);
      }
      place = bottom;
    }
  }

  /** Goes on below the stored timeline. */
  #olderThan(
    userId: string,
    floorMs: number,
    { limit, after, nowMs }: TimelineRequest,
    found: StoredPost[],
  ): void {
    const floor = { timeMs: floorMs, postId: "" };
    const place = after !== undefined && byPlace(after, floor) > 0 ? after : floor;
    this.#addPosts(userId, { limit, after: place, nowMs }, found);
  }

  #fromPosts(userId: string, request: TimelineRequest): Page {
    return followingPosts(userId, request, this.#parts);
  }

  #addPosts(userId: string, request: TimelineRequest, found: StoredPost[]): void {
    addPosts(userId, request, this.#parts, found);
  }
}

/** A following timeline from the posts in memory alone: what every way of reading gives. */
export function followingPosts(
  userId: string,
  request: TimelineRequest,
  facts: TimelineFacts,
): Page {
  const found: StoredPost[] = [];
  addPosts(userId, request, facts, found);
  return pageOf(found, request.limit);
}

function addPosts(
  userId: string,
  { limit, after, nowMs }: TimelineRequest,
  facts: TimelineFacts,
  found: StoredPost[],
): void {
  const { posts, graph } = facts;
  for (const post of postsByTime(posts, graph.following(userId), nowMs, after)) {
    if (found.length >= limit) return;
    if (showsTo(userId, post, facts)) found.push(post);
  }
}

type Page = Pick<TimelinePosts, "posts" | "next">;

const pageOf = (posts: readonly StoredPost[], limit: number): Page => {
  const last = posts.at(-1);
  return { posts, next: posts.length < limit || last === undefined ? undefined : placeOf(last) };
};
