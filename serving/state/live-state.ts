import { PopularPosts } from "../../candidates/popular-posts.ts";
import { PostStore } from "../../candidates/post-store.ts";
import { SocialGraph } from "../../candidates/social-graph.ts";
import type { FanOut } from "../../candidates/timelines/fan-out.ts";
import { PulledAuthors } from "../../candidates/timelines/pulled-authors.ts";
import { ReaderActivity } from "../../candidates/timelines/reader-activity.ts";
import { ViewerHistory } from "../../candidates/viewer-history.ts";
import type { Event, EventOf, LoggedEvent } from "../../datasets/events.ts";
import { applyEvent } from "../../features/engine.ts";
import type { FeatureStore } from "../../features/store.ts";
import type { PostCounts } from "./post-counts.ts";
import { readSnapshot, writeSnapshot } from "./snapshot.ts";

/** How often retention is applied, in stream time. */
const TRIM_EVERY_MS = 600_000;

/** State that each process keeps in memory, from its own position in the log. */
export class BroadcastState {
  readonly posts = new PostStore();
  readonly popular = new PopularPosts(undefined, this.posts);
  readonly graph = new SocialGraph();
  readonly history = new ViewerHistory();
  readonly pulled = new PulledAuthors(this.graph);
  readonly activity = new ReaderActivity();
  position = 0;
  #trimmedAtMs = 0;

  apply(event: Event): void {
    this.posts.apply(event);
    this.popular.apply(event);
    this.graph.apply(event);
    this.pulled.apply(event);
    // What comes late of a deleted user would make one of them again.
    const isLate =
      "user_id" in event &&
      event.type !== "user_deleted" &&
      this.graph.isGone(event.user_id, event.time_ms);
    if (!isLate) {
      this.history.apply(event);
      this.activity.apply(event);
    }
    if (event.time_ms - this.#trimmedAtMs > TRIM_EVERY_MS) this.trim(event.time_ms);
  }

  trim(nowMs: number): void {
    this.#trimmedAtMs = nowMs;
    this.posts.trim(nowMs);
    this.popular.trim(nowMs);
    this.graph.trim(nowMs);
    this.history.trim(nowMs);
  }

  async save(path: string): Promise<void> {
    const parts = Object.entries(this.#parts());
    await writeSnapshot(path, {
      position: this.position,
      states: Object.fromEntries(parts.map(([name, part]) => [name, part.snapshot()])),
    });
  }

  /**
   * Restores what was saved; leaves the state empty at position 0 when there is nothing usable. All parts stand at one
   * position, so that one which is missing has all of them built again.
   * @param lastSeq the log's end: a snapshot of records beyond it is of another log, or of one that lost records
   * @returns the position of what was saved, also when it is beyond the log's end
   */
  async load(path: string, lastSeq: number): Promise<number> {
    const snapshot = await readSnapshot(path);
    if (snapshot === undefined || snapshot.position > lastSeq) return snapshot?.position ?? 0;
    const parts = Object.entries(this.#parts());
    if (parts.some(([name]) => snapshot.states[name] === undefined)) return 0;
    for (const [name, part] of parts) part.restore(snapshot.states[name]);
    this.position = snapshot.position;
    return snapshot.position;
  }

  /** What a snapshot holds, by the name that it has there. */
  #parts() {
    const { posts, popular, graph, history, pulled, activity } = this;
    return { posts, popular, graph, history, pulled, activity };
  }
}

/** The record of a user's deletion. */
export type Deletion = LoggedEvent & EventOf<"user_deleted">;

/** Everything that requests read and events move: the broadcast state, the feature store and the counts. */
export class LiveState {
  readonly broadcast: BroadcastState;
  readonly features: FeatureStore;
  readonly counts: PostCounts;
  readonly #forgetters: ((deletion: Deletion) => unknown)[] = [];
  readonly #fanOut: FanOut | undefined;
  readonly #followers: ((events: readonly LoggedEvent[]) => void)[] = [];

  /** @param fanOut brings posts into stored timelines, where there are any */
  constructor(
    broadcast: BroadcastState,
    features: FeatureStore,
    counts: PostCounts,
    fanOut?: FanOut,
  ) {
    this.broadcast = broadcast;
    this.features = features;
    this.counts = counts;
    this.#fanOut = fanOut;
  }

  /** Calls `forget` for every deleted user, after the state has forgotten them, and waits for what it returns. */
  onUserDeleted(forget: (deletion: Deletion) => unknown): void {
    this.#forgetters.push(forget);
  }

  /** Calls `follow` with every batch of records that the state has taken. */
  onApplied(follow: (events: readonly LoggedEvent[]) => void): void {
    this.#followers.push(follow);
  }

  /** The last record that all of them reflect. */
  get position(): number {
    return Math.min(this.broadcast.position, this.features.position, this.counts.position);
  }

  /** Each part by name, and the last record that it reflects. */
  get positions(): Readonly<Record<string, number>> {
    const { features, counts, broadcast } = this;
    return {
      features: features.position,
      counts: counts.position,
      memory: broadcast.position,
      ...(this.#fanOut && { timelines: this.#fanOut.position.seq }),
    };
  }

  /** The last record that stored timelines reflect too: what a new process goes on after. */
  get deliveredPosition(): number {
    return Math.min(this.position, this.#fanOut?.position.seq ?? Number.POSITIVE_INFINITY);
  }

  /** Applies log records in sequence order; each part skips what it has had before. */
  async apply(events: readonly LoggedEvent[]): Promise<void> {
    const last = events.at(-1)?.seq;
    if (last === undefined) return;
    const fresh = events.filter((event) => event.seq > this.features.position);
    if (fresh.length > 0)
      await this.features.transaction(last, (state) => {
        for (const event of fresh) applyEvent(state, event);
      });
    await this.counts.apply(events, last);
    const { broadcast } = this;
    const apply = (event: LoggedEvent): void => {
      if (event.seq <= broadcast.position) return;
      broadcast.apply(event);
      broadcast.position = event.seq;
    };
    if (this.#fanOut !== undefined) await this.#fanOut.apply(events, apply);
    else for (const event of events) apply(event);
    for (const follow of this.#followers) follow(events);
    for (const event of events)
      if (event.type === "user_deleted") for (const forget of this.#forgetters) await forget(event);
  }
}
