import type { PostStore } from "../../candidates/post-store.ts";
import type { SocialGraph } from "../../candidates/social-graph.ts";
import type { LoggedEvent } from "../../datasets/events.ts";

/** Posts that are remembered by their place in the log: at 500 a second two minutes, at a usual rate hours. */
const REMEMBERED = 65_536;
/** Nobody reads an exact number beyond it. */
const MOST_COUNTED = 200;

/** How many posts a viewer has not loaded yet. */
export interface NewPostsCount {
  /** At most 200. */
  readonly count: number;
  /** false: there may be more, because counting stopped or what was asked for is longer ago than is remembered. */
  readonly exact: boolean;
  /** Place in the log up to which was counted. */
  readonly position: number;
}

/**
 * Tells viewers how many posts of accounts that they follow came since a place in the log, without their content. Posts
 * that were deleted meanwhile, and authors who are blocked or muted by now, do not count.
 */
export class NewPosts {
  readonly #posts: PostStore;
  readonly #graph: SocialGraph;
  /** The newest posts by place in the log, a ring. */
  readonly #seqs = new Float64Array(REMEMBERED);
  readonly #postIds: string[] = [];
  readonly #authorIds: string[] = [];
  #written = 0;
  #position: number;
  /** First record of which this process has been told. */
  readonly #began: number;
  /** Author → listeners of those who follow them. */
  readonly #watchers = new Map<string, Set<() => void>>();

  /** @param position last record that posts and graph reflect */
  constructor(parts: { readonly posts: PostStore; readonly graph: SocialGraph }, position: number) {
    this.#posts = parts.posts;
    this.#graph = parts.graph;
    this.#position = position;
    this.#began = position + 1;
  }

  /** Last record that counts reflect. */
  get position(): number {
    return this.#position;
  }

  /** Takes every batch of the log after posts and graph have. */
  apply(events: readonly LoggedEvent[]): void {
    const told = new Set<() => void>();
    for (const event of events) {
      this.#position = Math.max(this.#position, event.seq);
      if (event.type !== "post_created") continue;
      const place = this.#written++ % REMEMBERED;
      this.#seqs[place] = event.seq;
      this.#postIds[place] = event.post_id;
      this.#authorIds[place] = event.author_id;
      for (const listener of this.#watchers.get(event.author_id) ?? []) told.add(listener);
    }
    for (const listener of told) listener();
  }

  /** Counts what came after the record `afterSeq`. */
  since(userId: string, afterSeq: number): NewPostsCount {
    const followed = this.#graph.following(userId);
    const hidden = [
      this.#graph.blocked(userId),
      this.#graph.blockedBy(userId),
      this.#graph.muted(userId),
    ];
    const oldest = Math.max(0, this.#written - REMEMBERED);
    let count = 0;
    let at = this.#written - 1;
    for (; at >= oldest && count < MOST_COUNTED; at--) {
      const place = at % REMEMBERED;
      if ((this.#seqs[place] as number) <= afterSeq) break;
      const authorId = this.#authorIds[place] as string;
      if (!followed.has(authorId) || hidden.some((users) => users.has(authorId))) continue;
      const post = this.#posts.get(this.#postIds[place] as string);
      // Replies are conversation: they come with the timeline and call nobody back to it.
      if (post !== undefined && post.kind !== "reply") count++;
    }
    // A ring that has not overflowed holds every post since this process began to follow the log.
    const first = oldest === 0 ? this.#began : (this.#seqs[oldest % REMEMBERED] as number);
    return {
      count,
      exact: count < MOST_COUNTED && afterSeq >= first - 1,
      position: this.#position,
    };
  }

  /** Calls `listener` after each batch with a post of somebody whom the viewer follows now; returns how to stop. */
  watch(userId: string, listener: () => void): () => void {
    const authors = [...this.#graph.following(userId)];
    for (const authorId of authors) {
      const listeners = this.#watchers.get(authorId);
      if (listeners === undefined) this.#watchers.set(authorId, new Set([listener]));
      else listeners.add(listener);
    }
    return () => {
      for (const authorId of authors) {
        const listeners = this.#watchers.get(authorId);
        listeners?.delete(listener);
        if (listeners?.size === 0) this.#watchers.delete(authorId);
      }
    };
  }
}
