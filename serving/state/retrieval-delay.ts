import type { Event } from "../../datasets/events.ts";

/** Posts that are on their way at most; of more the oldest are no longer timed. */
const MOST_TIMED = 50_000;

/** What a post came to: it can be found by retrieval, or no more. */
export type RetrievalStep = "retrievable" | "gone";

export type RetrievalObserver = (step: RetrievalStep, seconds: number, postId: string) => void;

/**
 * Times how long a post takes from the moment that it reached the write API until retrieval finds it, and a deleted one
 * until it does not. Reposts are not retrieved and not timed.
 */
export class RetrievalDelay {
  readonly #observe: RetrievalObserver;
  readonly #now: () => number;
  /** Post → moment. */
  readonly #since: Readonly<Record<RetrievalStep, Map<string, number>>> = {
    retrievable: new Map(),
    gone: new Map(),
  };

  /** @param now milliseconds of a monotonic clock */
  constructor(observe: RetrievalObserver, now: () => number) {
    this.#observe = observe;
    this.#now = now;
  }

  /** Events that are to be written. */
  arrived(events: readonly Event[]): void {
    const nowMs = this.#now();
    for (const event of events)
      if (event.type === "post_created" && event.repost_of_post_id === undefined)
        this.#begin("retrievable", event.post_id, nowMs);
      else if (event.type === "post_deleted") this.#begin("gone", event.post_id, nowMs);
  }

  /** Posts that can be found from now on. */
  found(postIds: readonly string[]): void {
    this.#end("retrievable", postIds);
  }

  /** Posts that cannot be found any more, and whose vector will not be made. */
  forgotten(postIds: readonly string[]): void {
    this.#end("gone", postIds);
    for (const postId of postIds) this.#since.retrievable.delete(postId);
  }

  #begin(step: RetrievalStep, postId: string, nowMs: number): void {
    const since = this.#since[step];
    // A retry of what is under way is not a new beginning.
    if (since.has(postId)) return;
    since.set(postId, nowMs);
    if (since.size <= MOST_TIMED) return;
    const [oldest] = since.keys();
    since.delete(oldest as string);
  }

  #end(step: RetrievalStep, postIds: readonly string[]): void {
    const nowMs = this.#now();
    for (const postId of postIds) {
      const sinceMs = this.#since[step].get(postId);
      if (sinceMs === undefined) continue;
      this.#since[step].delete(postId);
      this.#observe(step, (nowMs - sinceMs) / 1_000, postId);
    }
  }
}
