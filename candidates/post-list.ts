import type { StoredPost } from "./post-store.ts";

/** An author's posts as they can be looked through: `times[i]` is that of `posts[i]`. */
export interface TimedPosts {
  /** Oldest first, so that the usual arrival is a push. */
  readonly posts: readonly StoredPost[];
  /** Epoch ms. */
  readonly times: readonly number[];
}

/**
 * Posts oldest first, with their times beside them: of many posts all over the memory each that is looked at is a wait for it, and
 * what looks for the newest or the eligible by time looks at one run of numbers instead.
 */
export class PostList<P extends StoredPost> implements TimedPosts {
  readonly posts: P[] = [];
  readonly times: number[] = [];

  /** Inserts in time order, of equal times behind those that are there, and returns what the limit pushed out. */
  insert(post: P, limit: number): P[] {
    const { posts, times } = this;
    let at = times.length;
    while (at > 0 && (times[at - 1] as number) > post.createdAtMs) at--;
    if (at === times.length) {
      posts.push(post);
      times.push(post.createdAtMs);
    } else {
      posts.splice(at, 0, post);
      times.splice(at, 0, post.createdAtMs);
    }
    return times.length > limit ? this.#cut(times.length - limit) : [];
  }

  remove(post: P): void {
    const at = this.posts.indexOf(post);
    if (at < 0) return;
    this.posts.splice(at, 1);
    this.times.splice(at, 1);
  }

  /** Removes and returns the posts created before `oldestMs`. */
  dropBefore(oldestMs: number): P[] {
    const { times } = this;
    let n = 0;
    while (n < times.length && (times[n] as number) < oldestMs) n++;
    return n === 0 ? [] : this.#cut(n);
  }

  /** Removes and returns the `n` oldest. */
  #cut(n: number): P[] {
    this.times.splice(0, n);
    return this.posts.splice(0, n);
  }
}
