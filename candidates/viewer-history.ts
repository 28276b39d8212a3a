import type { Event } from "../datasets/events.ts";

/** Seen posts remembered per viewer. */
const SEEN_LIMIT = 2000;
/** Served posts remembered per viewer, and for how long: the most that the ranking parameters can ask for. */
const SERVED_LIMIT = 500;
const SERVED_KEPT_MS = 86_400_000;

/** What each viewer has seen (impressions) and was lately served, in order of arrival. */
export class ViewerHistory {
  readonly #seen = new Map<string, Map<string, number>>();
  readonly #served = new Map<string, Map<string, number>>();
  readonly #retentionMs: number;

  constructor(retentionHours = 48) {
    this.#retentionMs = retentionHours * 3_600_000;
  }

  apply(event: Event): void {
    if (event.type === "impression") {
      remember(this.#seen, event.user_id, event.post_id, event.time_ms, SEEN_LIMIT);
    } else if (event.type === "served") {
      // From the last position up, so that a page longer than the limit keeps its top.
      for (const item of event.items.toReversed())
        remember(this.#served, event.user_id, item.post_id, event.time_ms, SERVED_LIMIT);
    } else if (event.type === "user_deleted") {
      this.#seen.delete(event.user_id);
      this.#served.delete(event.user_id);
    }
  }

  seen(userId: string): ReadonlySet<string> {
    return new Set(this.#seen.get(userId)?.keys());
  }

  /** The newest `limit` posts served to the viewer since `sinceMs`. */
  served(userId: string, sinceMs: number, limit = SERVED_LIMIT): ReadonlySet<string> {
    const recent = [...(this.#served.get(userId) ?? [])].filter(([, timeMs]) => timeMs >= sinceMs);
    return new Set(recent.slice(Math.max(0, recent.length - limit)).map(([postId]) => postId));
  }

  /** Forgets what is past retention. */
  trim(nowMs: number): void {
    for (const [store, keepMs] of [
      [this.#seen, this.#retentionMs],
      [this.#served, SERVED_KEPT_MS],
    ] as const)
      for (const [userId, posts] of store) {
        for (const [postId, timeMs] of posts) if (timeMs < nowMs - keepMs) posts.delete(postId);
        if (posts.size === 0) store.delete(userId);
      }
  }

  snapshot(): unknown {
    return { seen: this.#seen, served: this.#served };
  }

  restore(snapshot: unknown): void {
    const { seen, served } = snapshot as Record<
      "seen" | "served",
      Map<string, Map<string, number>>
    >;
    for (const [user, posts] of seen) this.#seen.set(user, posts);
    for (const [user, posts] of served) this.#served.set(user, posts);
  }
}

function remember(
  store: Map<string, Map<string, number>>,
  userId: string,
  postId: string,
  timeMs: number,
  limit: number,
): void {
  let posts = store.get(userId);
  if (posts === undefined) {
    posts = new Map();
    store.set(userId, posts);
  }
  const before = posts.get(postId) ?? timeMs;
  // Deleting first moves a known post to the young end.
  posts.delete(postId);
  posts.set(postId, Math.max(before, timeMs));
  if (posts.size > limit) posts.delete(posts.keys().next().value as string);
}
