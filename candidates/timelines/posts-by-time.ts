import { compareIds } from "../../datasets/ids.ts";
import type { TimedPosts } from "../post-list.ts";
import type { PostStore, StoredPost } from "../post-store.ts";
import { byPlace, type TimelineEntry } from "./timeline-store.ts";

/** The place of a post in a timeline. */
export const placeOf = (post: StoredPost): TimelineEntry => ({
  postId: post.postId,
  timeMs: post.createdAtMs,
});

/**
 * All posts by these authors behind `after`, newest first, ties by ascending id: a k-way merge of the authors' lists.
 * To be read to its end before anything else is awaited: the lists are those of the store.
 * @param nowMs posts of the future are left out
 */
export function* postsByTime(
  store: PostStore,
  authorIds: Iterable<string>,
  nowMs: number,
  after?: TimelineEntry,
): Generator<StoredPost, undefined> {
  const newestMs = Math.min(nowMs, after?.timeMs ?? nowMs);
  const heap = new ListHeap();
  // All are looked up before any list is looked at, so that the processor waits for many of them at once.
  for (const lists of Array.from(authorIds, (authorId) => store.byAuthor(authorId))) {
    heap.add(lists.originals, newestMs);
    heap.add(lists.secondary, newestMs);
  }
  const tied: StoredPost[] = [];
  for (let createdAtMs = heap.timeMs; createdAtMs !== undefined; createdAtMs = heap.timeMs) {
    tied.length = 0;
    while (heap.timeMs === createdAtMs) tied.push(heap.pop());
    if (tied.length > 1) tied.sort((a, b) => compareIds(a.postId, b.postId));
    for (const one of tied)
      if (createdAtMs !== after?.timeMs || byPlace(placeOf(one), after) > 0) yield one;
  }
  return undefined;
}

/** Lists by the time of their last unread post, the newest on top. */
class ListHeap {
  readonly #lists: TimedPosts[] = [];
  /** Index of each list's next post. */
  readonly #next: number[] = [];
  #ordered = false;

  /** Adds a list from its newest post that is not newer than `newestMs`. */
  add(list: TimedPosts, newestMs: number): void {
    const { times } = list;
    let low = 0;
    let high = times.length;
    // Of a first page the newest of all is the usual answer.
    if (high > 0 && (times[high - 1] as number) <= newestMs) low = high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((times[middle] as number) > newestMs) high = middle;
      else low = middle + 1;
    }
    if (low === 0) return;
    this.#lists.push(list);
    this.#next.push(low - 1);
  }

  /** Time of the newest unread post, epoch ms; undefined when all are read. */
  get timeMs(): number | undefined {
    if (!this.#ordered) {
      for (let i = this.#lists.length >> 1; i >= 0; i--) this.#sink(i);
      this.#ordered = true;
    }
    return this.#lists.length === 0 ? undefined : this.#timeAt(0);
  }

  /** Takes the post that `timeMs` tells of. */
  pop(): StoredPost {
    const list = this.#lists[0] as TimedPosts;
    const at = this.#next[0] as number;
    if (at > 0) this.#next[0] = at - 1;
    else {
      const lastList = this.#lists.pop() as TimedPosts;
      const lastNext = this.#next.pop() as number;
      if (this.#lists.length > 0) {
        this.#lists[0] = lastList;
        this.#next[0] = lastNext;
      }
    }
    this.#sink(0);
    return list.posts[at] as StoredPost;
  }

  #timeAt(i: number): number {
    const list = this.#lists[i];
    return list === undefined
      ? Number.NEGATIVE_INFINITY
      : (list.times[this.#next[i] as number] as number);
  }

  #sink(from: number): void {
    for (let i = from; ; ) {
      const left = 2 * i + 1;
      const child = this.#timeAt(left + 1) > this.#timeAt(left) ? left + 1 : left;
      if (this.#timeAt(child) <= this.#timeAt(i)) return;
      const list = this.#lists[i] as TimedPosts;
      const next = this.#next[i] as number;
      this.#lists[i] = this.#lists[child] as TimedPosts;
      this.#next[i] = this.#next[child] as number;
      this.#lists[child] = list;
      this.#next[child] = next;
      i = child;
    }
  }
}
