import type { Event } from "../../datasets/events.ts";

/** What one action says about the viewer's liking, summed per viewer and post; heads that are not listed say nothing. */
export type ActionWeights = Readonly<Record<string, number>>;

/** Who liked what, as a sparse matrix by viewer: row u holds entries `starts[u] … starts[u + 1]`. */
export interface Interactions {
  readonly userIds: readonly string[];
  readonly userIndex: ReadonlyMap<string, number>;
  readonly postIds: readonly string[];
  readonly postIndex: ReadonlyMap<string, number>;
  readonly starts: Int32Array;
  readonly posts: Int32Array;
  readonly weights: Float64Array;
  /** Time of the newest action of each entry. */
  readonly timeMs: Float64Array;
  /** All posts that a viewer was shown or acted on. */
  readonly seen: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Collects interactions from events. Undone actions are taken back; entries without positive weight are left out. */
export class InteractionCounter {
  readonly #weights: ActionWeights;
  readonly #byUser = new Map<string, Map<string, { weight: number; timeMs: number }>>();
  readonly #seen = new Map<string, Set<string>>();
  readonly #posts = new Map<string, number>();

  constructor(weights: ActionWeights) {
    this.#weights = weights;
  }

  add(event: Event): void {
    if (event.type === "post_created") this.#post(event.post_id);
    if (event.type !== "impression" && event.type !== "engagement") return;
    this.#post(event.post_id);
    let seen = this.#seen.get(event.user_id);
    if (seen === undefined) {
      seen = new Set();
      this.#seen.set(event.user_id, seen);
    }
    seen.add(event.post_id);
    if (event.type !== "engagement") return;
    const weight = (this.#weights[event.head] ?? 0) * (event.undo ? -1 : 1);
    if (weight === 0) return;
    let own = this.#byUser.get(event.user_id);
    if (own === undefined) {
      own = new Map();
      this.#byUser.set(event.user_id, own);
    }
    const entry = own.get(event.post_id);
    if (entry === undefined) own.set(event.post_id, { weight, timeMs: event.time_ms });
    else {
      entry.weight += weight;
      entry.timeMs = Math.max(entry.timeMs, event.time_ms);
    }
  }

  finish(): Interactions {
    const userIds = [...this.#byUser.keys()];
    const entries = userIds.map((id) =>
      [...(this.#byUser.get(id) as Map<string, { weight: number; timeMs: number }>)]
        .filter(([, { weight }]) => weight > 1e-9)
        .map(([post, entry]) => ({ post: this.#posts.get(post) as number, ...entry })),
    );
    const starts = new Int32Array(userIds.length + 1);
    entries.forEach((list, u) => {
      starts[u + 1] = (starts[u] as number) + list.length;
    });
    const all = entries.flat();
    return {
      userIds,
      userIndex: new Map(userIds.map((id, u) => [id, u])),
      postIds: [...this.#posts.keys()],
      postIndex: this.#posts,
      starts,
      posts: Int32Array.from(all, ({ post }) => post),
      weights: Float64Array.from(all, ({ weight }) => weight),
      timeMs: Float64Array.from(all, ({ timeMs }) => timeMs),
      seen: this.#seen,
    };
  }

  #post(id: string): void {
    if (!this.#posts.has(id)) this.#posts.set(id, this.#posts.size);
  }
}

/** The same by post: row i holds the viewers of post i and their entries' places. */
export function byPost({ postIds, starts, posts }: Interactions): {
  readonly starts: Int32Array;
  readonly users: Int32Array;
  /** Place of each entry in the matrix by viewer. */
  readonly entries: Int32Array;
} {
  const postStarts = new Int32Array(postIds.length + 1);
  for (const post of posts) postStarts[post + 1] = (postStarts[post + 1] as number) + 1;
  for (let i = 0; i < postIds.length; i++)
    postStarts[i + 1] = (postStarts[i + 1] as number) + (postStarts[i] as number);
  const next = postStarts.slice();
  const users = new Int32Array(posts.length);
  const entries = new Int32Array(posts.length);
  for (let u = 0; u + 1 < starts.length; u++)
    for (let e = starts[u] as number; e < (starts[u + 1] as number); e++) {
      const post = posts[e] as number;
      const place = next[post] as number;
      next[post] = place + 1;
      users[place] = u;
      entries[place] = e;
    }
  return { starts: postStarts, users, entries };
}
