import type { Event } from "../../datasets/events.ts";
import type { SocialGraph } from "../social-graph.ts";

export interface PulledAuthorsOptions {
  /** Posts by authors with this many followers are not pushed. `roost bench fanout` computes where that pays. */
  readonly followerThreshold: number;
  /** At least as long as posts are kept, turns of trimming included: after it nothing that was not pushed is left. */
  readonly retentionHours: number;
}

export const PULLED_AUTHORS: PulledAuthorsOptions = {
  followerThreshold: 10_000,
  retentionHours: 49,
};

interface Pulled {
  /** Time of the newest post that was not pushed. */
  untilMs: number;
  /** Time of the newest post that was, or may have been. */
  pushedUntilMs: number;
}

/**
 * Authors who have posts that were not pushed, because they had too many followers when they wrote them: readers merge their posts.
 * What decides is the count of followers at the moment of the post, and it is remembered: an author who falls below the threshold
 * stays here until the last post that was not pushed is forgotten, so that none is missed in between. Follows from the log's order
 * alone, so that every process has the same.
 */
export class PulledAuthors {
  readonly #graph: Pick<SocialGraph, "followerCount">;
  readonly #threshold: number;
  readonly #retentionMs: number;
  readonly #authors = new Map<string, Pulled>();
  #streamMs = 0;

  constructor(
    graph: Pick<SocialGraph, "followerCount">,
    options: PulledAuthorsOptions = PULLED_AUTHORS,
  ) {
    this.#graph = graph;
    this.#threshold = options.followerThreshold;
    this.#retentionMs = options.retentionHours * 3_600_000;
  }

  /** Comes after the graph has had the event. */
  apply(event: Event): void {
    this.#streamMs = Math.max(this.#streamMs, event.time_ms);
    if (event.type === "user_deleted") this.#authors.delete(event.user_id);
    if (event.type !== "post_created") return;
    const { author_id: authorId, time_ms: timeMs } = event;
    const pulled = this.#authors.get(authorId);
    if (this.#graph.followerCount(authorId) < this.#threshold) {
      if (pulled !== undefined) pulled.pushedUntilMs = Math.max(pulled.pushedUntilMs, timeMs);
    } else if (pulled !== undefined) pulled.untilMs = Math.max(pulled.untilMs, timeMs);
    else this.#authors.set(authorId, { untilMs: timeMs, pushedUntilMs: this.#streamMs });
  }

  /** Whether readers find this post by its author, so that it need not be pushed. */
  covers(authorId: string, timeMs: number): boolean {
    return (this.#authors.get(authorId)?.untilMs ?? -1) >= timeMs;
  }

  /** Whether the post may have been pushed all the same, before the author had so many followers. */
  mayBePushed(authorId: string, timeMs: number): boolean {
    return (this.#authors.get(authorId)?.pushedUntilMs ?? timeMs) >= timeMs;
  }

  has(authorId: string): boolean {
    return this.#authors.has(authorId);
  }

  trim(nowMs: number): void {
    for (const [authorId, { untilMs }] of this.#authors)
      if (untilMs < nowMs - this.#retentionMs) this.#authors.delete(authorId);
  }

  snapshot(): unknown {
    return { authors: this.#authors, streamMs: this.#streamMs };
  }

  restore(snapshot: unknown): void {
    const { authors, streamMs } = snapshot as { authors: Map<string, Pulled>; streamMs: number };
    for (const [authorId, pulled] of authors) this.#authors.set(authorId, pulled);
    this.#streamMs = streamMs;
  }
}
