import { setTimeout as delay } from "node:timers/promises";
import type { Event, LoggedEvent } from "../../datasets/events.ts";
import { during } from "../../datasets/phases.ts";
import type { StoredPost } from "../post-store.ts";
import {
  DEFERRED_LINE,
  type Delivery,
  DeliveryQueue,
  lineOf,
  type Slice,
} from "./delivery-queue.ts";
import type { FanOutLoad } from "./fan-out-load.ts";
import { FanOutProgress } from "./fan-out-progress.ts";
import { hides, mayBeShown } from "./following-rule.ts";
import { placeOf } from "./posts-by-time.ts";
import type { FanOutPosition } from "./timeline-store.ts";
import { postsBy, type Step, type WritingParts, writeRound } from "./write-round.ts";

export interface FanOutParts extends WritingParts {
  readonly load: FanOutLoad;
  /** Monotonic clock, ms. */
  readonly now: () => number;
  /** Told when the store does not take what is written; it is tried again. */
  readonly onError?: (error: unknown) => void;
}

export interface FanOutOptions {
  /** Name under which the position is kept with the store: one for each partition of the log. */
  readonly name: string;
  /** Timelines that wait in memory before no more of the log is taken: the log is a queue that takes no memory. */
  readonly mostWaiting: number;
  /** Of them those that can wait; past it a semi-active reader's timeline is dropped and rebuilt on the next visit. */
  readonly mostDeferred: number;
  /** Wait before what the store refused is tried again. */
  readonly retryMs: number;
}

export const FAN_OUT: FanOutOptions = {
  name: "0",
  mostWaiting: 200_000,
  mostDeferred: 100_000,
  retryMs: 100,
};

/** How often the inactive are looked for, in stream time. */
const SWEEP_EVERY_MS = 3_600_000;
/** How often the position is kept: what is repeated after a crash doubles nothing, it only takes time. */
const SAVE_EVERY_MS = 200;

/**
 * Brings the log's posts into the stored timelines of those who follow their authors: at once to readers who were here lately, when there
 * is room to those who were here in the last weeks, not at all to others, whose timeline is rebuilt on their next visit.
 * Posts by authors with many followers are left to readers (`PulledAuthors`).
 *
 * What is stored is more than what is shown: `showsTo` has the last word when reading. Removals keep timelines small and ids of deleted
 * posts out of them; no timeline is wrong while one is under way.
 */
export class FanOut {
  readonly #parts: FanOutParts;
  readonly #options: FanOutOptions;
  readonly #queue = new DeliveryQueue();
  #steps: Step[] = [];
  #progress = new FanOutProgress({ seq: 0, timeMs: 0 });
  #saved: FanOutPosition = { seq: 0, timeMs: 0 };
  #savedAtMs = Number.NEGATIVE_INFINITY;
  /** Author → deliveries that are not done: readers merge their posts until they are. */
  readonly #undelivered = new Map<string, number>();
  /** Reader → rebuilds of their timeline that are not done: until they are, what is stored may have a hole. */
  readonly #rebuilding = new Map<string, number>();
  readonly #rebuildsWaiting = new Set<string>();
  #streamMs = 0;
  #sweptMs = 0;
  #arrived = 0;
  #written = 0;
  #draining: Promise<void> | undefined;
  #roundDone: (() => void)[] = [];
  #failing = false;
  #closed = false;

  constructor(parts: FanOutParts, options: FanOutOptions = FAN_OUT) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Takes up the position kept with the store: records up to it were delivered, by this process or another before it. */
  async resume(): Promise<FanOutPosition> {
    const position = await this.#parts.store.position(this.#options.name);
    if (position !== undefined) {
      this.#progress = new FanOutProgress(position);
      this.#saved = position;
    }
    return this.position;
  }

  /** Everything up to here is in the store. */
  get position(): FanOutPosition {
    return this.#progress.position;
  }

  /** How much it has to do, and what is to be done about it. */
  get load(): FanOutLoad {
    return this.#parts.load;
  }

  /** Whether the store refused what was written last. */
  get failing(): boolean {
    return this.#failing;
  }

  /** Timelines that wait to be written. */
  get waiting(): number {
    return this.#queue.size + this.#steps.length;
  }

  /** Whether posts by this author may not all be where pushes bring them: readers merge them. */
  isPulled(authorId: string): boolean {
    return this.#undelivered.has(authorId) || this.#parts.pulled.has(authorId);
  }

  /** Whether this reader's stored timeline is not to be relied on yet. */
  isRebuilding(userId: string): boolean {
    return this.#rebuilding.has(userId);
  }

  /**
   * Makes a reader's timeline and pushes to it from now on. Done here, among all other writes to timelines, so that none of those that
   * wait undoes it.
   */
  rebuild(userId: string, nowMs: number): void {
    if (!this.#parts.graph.isKnown(userId)) return;
    this.#parts.activity.note(userId, nowMs);
    // One that is under way may have begun before what is known now.
    if (this.#rebuildsWaiting.has(userId)) return;
    this.#step({ kind: "rebuild", userId, seq: undefined });
    this.#draining ??= this.#drain();
  }

  /**
   * Takes records in the log's order. Resolves when there is room for more, which may be before these are delivered.
   * @param apply moves graph, posts, pulled authors and activity by the record: what goes away is looked at before, what comes after
   */
  async apply(events: readonly LoggedEvent[], apply: (event: LoggedEvent) => void): Promise<void> {
    for (const event of events) {
      this.plan(event, apply);
      while (this.waiting > this.#options.mostWaiting && !this.#closed)
        await new Promise<void>((resolve) => this.#roundDone.push(resolve));
    }
  }

  /** Plans what one record does to timelines and begins to do it. */
  plan(event: LoggedEvent, apply: (event: LoggedEvent) => void): void {
    const { activity } = this.#parts;
    const { seq } = event;
    const isNew = seq > this.#progress.taken;
    const gone = isNew ? this.#whatGoes(event) : [];
    const reader = readerOf(event);
    const wasHere = reader !== undefined && activity.lastMs(reader) !== undefined;
    apply(event);
    this.#streamMs = Math.max(this.#streamMs, event.time_ms);
    if (!isNew) return;
    const swept = this.#sweep();
    this.#progress.begin(seq, event.time_ms);
    for (const delivery of gone) this.#enqueue(DEFERRED_LINE, delivery);
    this.#planEvent(event);
    if (reader !== undefined && !wasHere && activity.lastMs(reader) !== undefined)
      this.#step({ kind: "rebuild", userId: reader, seq });
    for (const userId of swept) this.#step({ kind: "forget", userId, seq });
    this.#progress.done(seq);
    this.#draining ??= this.#drain();
  }

  /** Looks at the load; to be called every 100 ms. @param backlog timelines that the records still in the log will ask for, estimated */
  look(backlog = 0): void {
    const { load, now } = this.#parts;
    load.look({
      nowMs: now(),
      arrived: this.#arrived,
      written: this.#written,
      waiting: this.waiting + backlog,
    });
    this.#arrived = 0;
    this.#written = 0;
  }

  /** Resolves when all that was planned is delivered and the position is kept, or when this was closed. */
  async settled(): Promise<void> {
    while (this.#draining !== undefined) await this.#draining;
  }

  /** Ends after the round under way. What is left is planned again from the position. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#draining;
  }

  #planEvent(event: LoggedEvent): void {
    const { posts } = this.#parts;
    const { seq } = event;
    switch (event.type) {
      case "post_created": {
        const post = posts.get(event.post_id);
        if (post !== undefined) this.#planPost(post, seq);
        break;
      }
      case "follow":
      case "unmute":
        this.#insert(event.user_id, event.target_id, seq);
        break;
      case "unblock":
        this.#insert(event.user_id, event.target_id, seq);
        this.#insert(event.target_id, event.user_id, seq);
        break;
      case "unfollow":
      case "mute":
        this.#takeOut(event.user_id, event.target_id, seq);
        break;
      case "block":
        this.#takeOut(event.user_id, event.target_id, seq);
        this.#takeOut(event.target_id, event.user_id, seq);
        break;
      case "user_deleted":
        this.#step({ kind: "forget", userId: event.user_id, seq });
        break;
    }
  }

  #planPost(post: StoredPost, seq: number): void {
    const { posts, graph, pulled, activity } = this.#parts;
    const { authorId } = post;
    if (pulled.covers(authorId, post.createdAtMs) || !mayBeShown(posts, post)) return;
    const lines: string[][] = [];
    for (const userId of graph.followers(authorId)) {
      const lastMs = activity.lastMs(userId);
      if (lastMs === undefined || userId === post.repostOfAuthorId) continue;
      const active = activity.classOf(userId, this.#streamMs) === "active";
      if (!active && this.#queue.deferred >= this.#options.mostDeferred) {
        activity.drop(userId);
        this.#step({ kind: "forget", userId, seq });
        continue;
      }
      const line = active ? lineOf(this.#streamMs - lastMs) : DEFERRED_LINE;
      const users = lines[line];
      if (users === undefined) lines[line] = [userId];
      else users.push(userId);
    }
    const entry = placeOf(post);
    lines.forEach((userIds, line) => {
      this.#enqueue(line, { kind: "push", entry, authorId, userIds, seq });
    });
  }

  /** What a record that deletes posts takes out of timelines: found before the record takes the posts and followers away. */
  #whatGoes(event: Event): Delivery[] {
    const { posts, graph } = this.#parts;
    let deleted: readonly StoredPost[] = [];
    if (event.type === "post_deleted") {
      const post = posts.get(event.post_id);
      if (post !== undefined) deleted = [post];
    } else if (event.type === "user_deleted") {
      deleted = postsBy(event.user_id, this.#parts);
    }
    const [first] = deleted;
    if (first === undefined) return [];
    const { authorId } = first;
    // The inactive too: a timeline that a crash left to somebody whose visit was not logged must not keep the id.
    const userIds = [...graph.followers(authorId)];
    return deleted
      .filter((post) => this.#parts.pulled.mayBePushed(authorId, post.createdAtMs))
      .map((post) => ({
        kind: "remove",
        entry: placeOf(post),
        authorId,
        userIds,
        seq: (event as LoggedEvent).seq,
      }));
  }

  #insert(userId: string, authorId: string, seq: number): void {
    if (this.#parts.activity.lastMs(userId) === undefined) return;
    this.#step({ kind: "insert", userId, authorId, seq });
    count(this.#undelivered, authorId, 1);
  }

  #takeOut(userId: string, authorId: string, seq: number): void {
    const { graph } = this.#parts;
    // The statement came late: a newer one holds, and the posts stay.
    if (graph.following(userId).has(authorId) && !hides(graph, userId, authorId)) return;
    const postIds = postsBy(authorId, this.#parts).map(({ postId }) => postId);
    if (postIds.length > 0) this.#step({ kind: "remove", userId, postIds, seq });
  }

  #sweep(): string[] {
    if (this.#streamMs - this.#sweptMs < SWEEP_EVERY_MS) return [];
    this.#sweptMs = this.#streamMs;
    this.#parts.pulled.trim(this.#streamMs);
    return this.#parts.activity.sweep(this.#streamMs);
  }

  #enqueue(line: number, delivery: Delivery): void {
    const { length } = delivery.userIds;
    if (length === 0) return;
    this.#queue.add(line, delivery);
    this.#progress.add(delivery.seq, length);
    this.#arrived += length;
    if (delivery.kind === "push") count(this.#undelivered, delivery.authorId, length);
  }

  #step(step: Step): void {
    this.#steps.push(step);
    if (step.kind === "rebuild") {
      count(this.#rebuilding, step.userId, 1);
      this.#rebuildsWaiting.add(step.userId);
    }
    if (step.seq !== undefined) this.#progress.add(step.seq);
    this.#arrived++;
  }

  async #drain(): Promise<void> {
    // Records that are planned together are written together.
    await Promise.resolve();
    const { load } = this.#parts;
    while (!this.#closed && this.waiting > 0) {
      const steps = this.#steps.splice(0, load.roundSize);
      for (const { userId } of steps) this.#rebuildsWaiting.delete(userId);
      const room = load.roundSize - steps.length;
      const slices = this.#queue.take(room, Math.floor(room * load.deferredShare));
      if (
        !(await this.#insist(() =>
          during("fan_out", () => writeRound(this.#parts, steps, slices, this.#streamMs)),
        ))
      )
        break;
      this.#finish(steps, slices);
      if (this.#parts.now() - this.#savedAtMs >= SAVE_EVERY_MS) await this.#save();
      this.#wake();
    }
    await this.#save();
    this.#draining = undefined;
    this.#wake();
    // Planned while the position was kept.
    if (this.waiting > 0 && !this.#closed) this.#draining = this.#drain();
  }

  #finish(steps: readonly Step[], slices: readonly Slice[]): void {
    for (const step of steps) {
      if (step.seq !== undefined) this.#progress.done(step.seq);
      if (step.kind === "insert") count(this.#undelivered, step.authorId, -1);
      else if (step.kind === "rebuild") count(this.#rebuilding, step.userId, -1);
    }
    let written = steps.length;
    for (const { delivery, from, to } of slices) {
      this.#progress.done(delivery.seq, to - from);
      if (delivery.kind === "push") count(this.#undelivered, delivery.authorId, from - to);
      written += to - from;
    }
    this.#written += written;
  }

  async #save(): Promise<void> {
    const { position } = this;
    if (position.seq === this.#saved.seq) return;
    const { store } = this.#parts;
    if (!(await this.#insist(() => store.savePosition(this.#options.name, position)))) return;
    this.#saved = position;
    this.#savedAtMs = this.#parts.now();
  }

  /** Does it again until it is done, all that is written here being harmless to repeat; false when this was closed before. */
  async #insist(action: () => Promise<void>): Promise<boolean> {
    for (;;) {
      try {
        await action();
        this.#failing = false;
        return true;
      } catch (error) {
        this.#failing = true;
        this.#parts.onError?.(error);
      }
      if (this.#closed) return false;
      await delay(this.#options.retryMs);
    }
  }

  #wake(): void {
    const waiting = this.#roundDone;
    this.#roundDone = [];
    for (const resolve of waiting) resolve();
  }
}

/** Keeps only what is not 0. */
function count(counts: Map<string, number>, id: string, change: number): void {
  const left = (counts.get(id) ?? 0) + change;
  if (left === 0) counts.delete(id);
  else counts.set(id, left);
}

function readerOf(event: Event): string | undefined {
  return event.type === "impression" || event.type === "engagement" || event.type === "served"
    ? event.user_id
    : undefined;
}
