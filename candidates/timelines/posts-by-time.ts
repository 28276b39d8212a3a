import { compareIds } from "../../datasets/ids.ts";
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
  for (const authorId of authorIds) {
    const { originals, secondary } = store.byAuthor(authorId);
    heap.add(originals, newestMs);
    heap.add(secondary, newestMs);
  }
  const tied: StoredPost[] = [];
  for (let post = heap.pop(); post !== undefined; ) {
    tied.length = 0;
    const { createdAtMs } = post;
    for (; post?.createdAtMs === createdAtMs; post = heap.pop()) tied.push(post);
    if (tied.length > 1) tied.sort((a, b) => compareIds(a.postId, b.postId));
    for (const one of tied)
      if (createdAtMs !== after?.timeMs || byPlace(placeOf(one), after) > 0) yield one;
  }
  return undefined;
}

/** Lists by the time of their last unread post, the newest on top. */
class ListHeap {
  readonly #lists: (readonly StoredPost[])[] = [];
  /** Index of each list's next post. */
  readonly #next: number[] = [];
  #ordered = false;

  /** Adds a list, oldest first, from its newest post that is not newer than `newestMs`. */
  add(list: readonly StoredPost[], newestMs: number): void {
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((list[middle] as StoredPost).createdAtMs > newestMs) high = middle;
      else low = middle + 1;
    }
    if (low === 0) return;
    this.#lists.push(list);
    this.#next.push(low - 1);
  }

  pop(): StoredPost | undefined {
    if (!this.#ordered) {
      for (let i = this.#lists.length >> 1; i >= 0; i--) this.#sink(i);
      this.#ordered = true;
    }
    const list = this.#lists[0];
    if (list === undefined) return undefined;
    const at = this.#next[0] as number;
    if (at > 0) this.#next[0] = at - 1;
    else {
      const lastList = this.#lists.pop() as readonly StoredPost[];
      const lastNext = this.#next.pop() as number;
      if (this.#lists.length > 0) {
        this.#lists[0] = lastList;
        this.#next[0] = lastNext;
      }
    }
    this.#sink(0);
    return list[at];
  }

  #timeAt(i: number): number {
    const list = this.#lists[i];
    return list === undefined
      ? Number.NEGATIVE_INFINITY
      : (list[this.#next[i] as number] as StoredPost).createdAtMs;
  }

  #sink(from: number): void {
    for (let i = from; ; ) {
      const left = 2 * i + 1;
      const child = this.#timeAt(left + 1) > this.#timeAt(left) ? left + 1 : left;
      if (this.#timeAt(child) <= this.#timeAt(i)) return;
      const list = this.#lists[i] as readonly StoredPost[];
      const next = this.#next[i] as number;
      this.#lists[i] = this.#lists[child] as readonly StoredPost[];
      this.#next[i] = this.#next[child] as number;
      this.#lists[child] = list;
      this.#next[child] = next;
      i = child;
    }
  }
}
