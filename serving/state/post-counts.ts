import { setImmediate } from "node:timers/promises";
import type { Database, RootDatabase } from "lmdb";
import type { EventOf, LoggedEvent } from "../../datasets/events.ts";

/** What is counted in public, as engagement heads. */
export const COUNTED_HEADS = ["favorite", "reply", "repost", "quote", "share"] as const;
type CountedHead = (typeof COUNTED_HEADS)[number];
export type Counts = Readonly<Record<CountedHead, number>>;

type EdgeKey = [post: string, head: number, user: string];
/** When the user last said so, and whether it was done (1) or taken back (0). */
type Edge = [timeMs: number, done: 0 | 1];

const MOVING: ReadonlySet<string> = new Set(["engagement", "post_deleted", "user_deleted"]);
/** Records that move nothing are not worth a commit each; after a crash so many are looked at again. */
const UNSTORED_RECORDS = 10_000;
/** Edges looked at between two turns of the event loop while a user is forgotten. */
const SCAN_ROWS = 5_000;

/**
 * How many users liked, answered, reposted, quoted and shared each post. A user counts once a post and head; of several
 * statements the newest by its own time holds, of equal times the later in the log, so the counts are the same in
 * whatever order events come, and after any replay. A deleted post counts nothing again.
 *
 * Owned state: kept in LMDB with its own position, both in one transaction.
 */
export class PostCounts {
  readonly #root: RootDatabase;
  readonly #edges: Database<Edge, EdgeKey>;
  /** Post → counts in the order of the heads; empty for a deleted post. */
  readonly #counts: Database<number[], string>;
  readonly #meta: Database<number, string>;
  /** Deleted user → time of the deletion: what comes late about them does not count. */
  readonly #deleted: Database<number, string>;
  #position: number;
  #stored: number;

  /** @param root an open environment; the counts keep their sub-databases under `counts/` */
  constructor(root: RootDatabase) {
    this.#root = root;
    this.#edges = root.openDB({ name: "counts/edges", encoding: "json" });
    this.#counts = root.openDB({ name: "counts/posts", encoding: "json" });
    this.#meta = root.openDB({ name: "counts/meta", encoding: "json" });
    this.#deleted = root.openDB({ name: "counts/deleted", encoding: "json" });
    this.#stored = this.#meta.get("position") ?? 0;
    this.#position = this.#stored;
  }

  /** Sequence of the last log record that the counts reflect. */
  get position(): number {
    return this.#position;
  }

  /** Users whose deletion is in the log. */
  get deletedUsers(): number {
    return this.#deleted.getCount();
  }

  /** Zeros for a post that nobody engaged with, is deleted or unknown. */
  of(postId: string): Counts {
    const counts = this.#counts.get(postId) ?? [];
    const named = COUNTED_HEADS.map((head, h) => [head, counts[h] ?? 0] as const);
    return Object.fromEntries(named) as Counts;
  }

  /** Applies log records that are not reflected yet, in the log's order; `position` is that of the last one. */
  async apply(events: readonly LoggedEvent[], position: number): Promise<void> {
    const before = this.#position;
    if (position <= before) return;
    const fresh = events.filter(({ seq, type }) => seq > before && MOVING.has(type));
    if (fresh.length > 0 || position - this.#stored >= UNSTORED_RECORDS)
      await this.#applyAll(fresh, position);
    this.#position = position;
  }

  /** Stores the position, so that the next process looks at nothing again. */
  flush(): Promise<void> {
    return this.#commit([], this.#position);
  }

  /** Begins a rebuild: forgets everything, then `add` takes the whole log in any order and `finish` says where it ends. */
  async clear(): Promise<void> {
    // The position first: interrupted, all is counted anew.
    for (const db of [this.#meta, this.#edges, this.#counts, this.#deleted]) await db.clearAsync();
    this.#position = 0;
    this.#stored = 0;
  }

  add(events: readonly LoggedEvent[]): Promise<void> {
    return this.#applyAll(events, undefined);
  }

  async finish(position: number): Promise<void> {
    await this.#commit([], position);
    this.#position = position;
  }

  async #applyAll(events: readonly LoggedEvent[], position: number | undefined): Promise<void> {
    let from = 0;
    for (const [i, event] of events.entries()) {
      if (event.type !== "user_deleted") continue;
      await this.#commit(events.slice(from, i), position && event.seq - 1);
      // Before its own position is noted: after a crash in between the user is forgotten again.
      await this.#forgetUser(event.user_id, event.time_ms);
      from = i + 1;
    }
    await this.#commit(events.slice(from), position);
  }

  async #commit(events: readonly LoggedEvent[], position: number | undefined): Promise<void> {
    await this.#root.transaction(() => {
      for (const event of events) {
        if (event.type === "engagement") this.#engage(event);
        else if (event.type === "post_deleted") this.#deletePost(event.post_id);
      }
      if (position !== undefined) this.#meta.put("position", position);
    });
    if (position !== undefined) this.#stored = position;
  }

  #engage({ post_id, user_id, head, time_ms, undo }: EventOf<"engagement">): void {
    const h = (COUNTED_HEADS as readonly string[]).indexOf(head);
    if (h < 0) return;
    const counts = this.#counts.get(post_id);
    if (counts?.length === 0 || time_ms <= (this.#deleted.get(user_id) ?? -1)) return;
    const key: EdgeKey = [post_id, h, user_id];
    const before = this.#edges.get(key);
    if (before !== undefined && time_ms < before[0]) return;
    const done = undo ? 0 : 1;
    this.#edges.put(key, [time_ms, done]);
    this.#add(post_id, h, done - (before?.[1] ?? 0));
  }

  #add(postId: string, head: number, change: number): void {
    if (change === 0) return;
    const counts = this.#counts.get(postId) ?? COUNTED_HEADS.map(() => 0);
    if (counts.length === 0) return;
    counts[head] = (counts[head] as number) + change;
    this.#counts.put(postId, counts);
  }

  #deletePost(postId: string): void {
    this.#counts.put(postId, []);
    const edges = { start: [postId] as unknown as EdgeKey, end: [postId, 99, ""] as EdgeKey };
    for (const key of [...this.#edges.getKeys(edges)]) this.#edges.remove(key);
  }

  /** Takes a user's own statements out, those from after the deletion left. Looks at every edge: deletions are rare. */
  async #forgetUser(userId: string, timeMs: number): Promise<void> {
    await this.#deleted.put(userId, Math.max(timeMs, this.#deleted.get(userId) ?? -1));
    let start: EdgeKey | undefined;
    for (;;) {
      const range = start === undefined ? {} : { start };
      const page = [...this.#edges.getRange({ ...range, limit: SCAN_ROWS })];
      const doomed = page.filter(({ key, value }) => key[2] === userId && value[0] <= timeMs);
      if (doomed.length > 0)
        await this.#root.transaction(() => {
          for (const { key } of doomed) {
            const edge = this.#edges.get(key);
            if (edge === undefined) continue;
            this.#edges.remove(key);
            this.#add(key[0], key[1], -edge[1]);
          }
        });
      if (page.length < SCAN_ROWS) return;
      start = page.at(-1)?.key;
      await setImmediate();
    }
  }
}
