import { setTimeout as delay } from "node:timers/promises";
import type { PostStore } from "../../candidates/post-store.ts";
import type { SocialGraph } from "../../candidates/social-graph.ts";
import type { Event } from "../../datasets/events.ts";
import type { AppendResult, EventLog } from "../../datasets/log/event-log.ts";
import { during } from "../../datasets/phases.ts";
import { Busy } from "../../errors.ts";
import type { EventSink, ServerClock, AppendResult as Taken } from "../http/services.ts";
import type { WorldClock } from "./clock.ts";
import type { LogConsumer } from "./log-consumer.ts";

/** An answer waits this long for its events to show in the features, so that a client mostly reads what it wrote. */
const READ_YOUR_WRITES_MS = 250;
/** Longest wait for the state before it can be said who is known. */
const MOST_CATCHING_UP_MS = 5_000;
/** Events that may wait for the disk: about 50 MB. Beyond it clients are asked to wait, before memory grows. */
const MOST_WAITING = 50_000;
/** Records that the state may be behind the log: seconds of work. Taking more would only make answers older. */
const MOST_BEHIND = 200_000;
/** The state takes at least so many records a second, for an estimate of when it has caught up. */
const APPLIED_PER_S = 20_000;

const ALL_ADMITTED = { admitShare: 1, retryAfterS: 0, reason: "" };

export interface IntakeOptions {
  /** Most events that may wait for the disk. */
  readonly waiting?: number;
  /** Most records that the state may be behind the log. */
  readonly behind?: number;
  /** Whether events of users of whom nothing was said before are taken. */
  readonly unknownUsers?: "accept" | "refuse";
  /** How much fan-out can take: of what comes, the share that it admits is taken. */
  readonly load?: {
    readonly admitShare: number;
    readonly retryAfterS: number;
    readonly reason: string;
  };
  /** Uniform in [0, 1): who is asked to wait is drawn. */
  readonly random?: () => number;
  /**
   * Events that wait aside: users whom the state does not know may be created by them, and what comes now waits there too,
   * whatever fan-out can take.
   */
  readonly aside?: () => number;
  /** Told of events before they are written. */
  readonly onArrival?: (events: readonly Event[]) => void;
}

export interface IntakeParts {
  readonly log: EventLog;
  readonly consumer: LogConsumer;
  readonly posts: PostStore;
  readonly graph: SocialGraph;
  readonly clock: ServerClock;
}

/** Writes events to the log with what the server knows about them filled in; resolves when they are durable. */
export class EventIntake implements EventSink {
  readonly #parts: IntakeParts;
  readonly #options: Required<IntakeOptions>;
  #waiting = 0;

  constructor(
    parts: IntakeParts,
    {
      waiting = MOST_WAITING,
      behind = MOST_BEHIND,
      unknownUsers = "accept",
      load = ALL_ADMITTED,
      random = () => 0,
      aside = () => 0,
      onArrival = () => {},
    }: IntakeOptions = {},
  ) {
    this.#parts = parts;
    this.#options = { waiting, behind, unknownUsers, load, random, aside, onArrival };
  }

  /** @throws OVERLOADED before anything is written, when too many events wait for the disk or for the state */
  async append(events: readonly Event[]): Promise<{ results: readonly Taken[] }> {
    const { clock } = this.#parts;
    this.#refuseWhenFull(events.length);
    const strangers =
      this.#options.unknownUsers === "refuse" && this.#options.aside() === 0
        ? await this.#strangers(events)
        : new Map();
    const known = events.filter((_, i) => !strangers.has(i));
    const arrived =
      clock.kind === "world" ? known.map((event) => ({ ...event, time_ms: clock.nowMs() })) : known;
    const appended = arrived.length > 0 ? await this.write(arrived) : [];
    const last = appended.reduce((most, { seq }) => Math.max(most, seq), 0);
    await this.#appliedWithin(last, READ_YOUR_WRITES_MS);
    const answers = appended.values();
    const results = events.map((_, i): Taken => {
      const detail = strangers.get(i);
      if (detail !== undefined) return { status: "refused", detail };
      const { duplicate } = answers.next().value as AppendResult;
      return { status: duplicate ? "duplicate" : "accepted" };
    });
    return { results };
  }

  /** Whether the state reflects a record before so long has passed. */
  async #appliedWithin(seq: number, ms: number): Promise<boolean> {
    const waiting = new AbortController();
    try {
      return await Promise.race([
        this.#parts.consumer.applied(seq).then(() => true),
        delay(ms, false, { ref: false, signal: waiting.signal }).catch(() => false),
      ]);
    } finally {
      waiting.abort();
    }
  }

  /** Places of events whose users nobody has heard of, with what to say of each. */
  async #strangers(events: readonly Event[]): Promise<ReadonlyMap<number, string>> {
    const { log, graph } = this.#parts;
    // Whoever was created a moment ago is known once the state has caught up.
    this.#waiting += events.length;
    try {
      if (!(await this.#appliedWithin(log.lastSeq(), MOST_CATCHING_UP_MS)))
        throw new Busy("OVERLOADED", "the state is behind the log, so users cannot be told", 1);
    } finally {
      this.#waiting -= events.length;
    }
    const created = new Set<string>();
    const strangers = new Map<number, string>();
    for (const [i, event] of events.entries()) {
      if (event.type === "user_created") {
        created.add(event.user_id);
        continue;
      }
      for (const field of ["user_id", "target_id", "author_id"] as const) {
        const user = (event as Readonly<Record<string, unknown>>)[field];
        if (typeof user !== "string" || created.has(user) || graph.isKnown(user)) continue;
        strangers.set(i, `${field} ${user} is not known: send user_created first`);
        break;
      }
    }
    return strangers;
  }

  /** As `append`, without waiting for the consumers: for records of the server itself, which have its time already. */
  async write(events: readonly Event[]): Promise<AppendResult[]> {
    const { log, clock } = this.#parts;
    const nowMs = clock.nowMs();
    this.#options.onArrival(events);
    const complete = events.map((event) => this.#complete(event));
    this.#waiting += events.length;
    let results: AppendResult[];
    try {
      results = await during("append", () => log.append(complete, nowMs));
    } finally {
      this.#waiting -= events.length;
    }
    if (clock.kind === "world") await (clock as WorldClock).store(nowMs);
    return results;
  }

  #refuseWhenFull(more: number): void {
    const { log, consumer } = this.#parts;
    const { load, random, aside } = this.#options;
    // What joins others aside is not fanned out before they are; while the store is gone, fan-out only seems overloaded.
    if (aside() === 0 && load.admitShare < 1 && random() >= load.admitShare)
      throw new Busy("OVERLOADED", load.reason, load.retryAfterS);
    if (this.#waiting > 0 && this.#waiting + more > this.#options.waiting)
      throw new Busy("OVERLOADED", `${this.#waiting} events wait for the disk`, 1);
    const behind = log.lastSeq() - consumer.position;
    if (behind > this.#options.behind)
      throw new Busy(
        "OVERLOADED",
        `the state is ${behind} records behind the log`,
        (behind - this.#options.behind / 2) / APPLIED_PER_S,
      );
  }

  /** Fills in the author and network of a post. */
  #complete(event: Event): Event {
    const { posts, graph } = this.#parts;
    if (event.type !== "impression" && event.type !== "engagement") return event;
    const author_id = event.author_id ?? posts.get(event.post_id)?.authorId;
    if (author_id === undefined) return event;
    if (event.type === "engagement") return { ...event, author_id };
    const in_network = event.in_network ?? graph.following(event.user_id).has(author_id);
    return { ...event, author_id, in_network };
  }
}
