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
  /** Author → time of the newest post that was not pushed. */
  readonly #untilMs = new Map<string, number>();

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
    if (event.type === "post_created") {
      if (this.#graph.followerCount(event.author_id) < this.#threshold) return;
      const before = this.#untilMs.get(event.author_id) ?? 0;
      this.#untilMs.set(event.author_id, Math.max(before, event.time_ms));
    } else if (event.type === "user_deleted") this.#untilMs.delete(event.user_id);
  }

  /** Whether readers find this post by its author, so that it need not be pushed. */
  covers(authorId: string, timeMs: number): boolean {
    return (this.#untilMs.get(authorId) ?? -1) >= timeMs;
  }

  has(authorId: string): boolean {
    return this.#untilMs.has(authorId);
  }

  trim(nowMs: number): void {
    for (const [authorId, untilMs] of this.#untilMs)
      if (untilMs < nowMs - this.#retentionMs) this.#untilMs.delete(authorId);
  }

  snapshot(): unknown {
    return { untilMs: this.#untilMs };
  }

  restore(snapshot: unknown): void {
    const { untilMs } = snapshot as { untilMs: Map<string, number> };
    for (const [authorId, timeMs] of untilMs) this.#untilMs.set(authorId, timeMs);
  }
}
