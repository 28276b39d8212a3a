import { setTimeout as delay } from "node:timers/promises";
import type { PostStore } from "../../candidates/post-store.ts";
import type { SocialGraph } from "../../candidates/social-graph.ts";
import type { Event } from "../../datasets/events.ts";
import type { AppendResult, EventLog } from "../../datasets/log/event-log.ts";
import { during } from "../../datasets/phases.ts";
import type { EventSink, ServerClock } from "../http/services.ts";
import type { WorldClock } from "./clock.ts";
import type { LogConsumer } from "./log-consumer.ts";

/** An answer waits this long for its events to show in the features, so that a client mostly reads what it wrote. */
const READ_YOUR_WRITES_MS = 250;

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

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  async append(
    events: readonly Event[],
  ): Promise<{ results: { status: "accepted" | "duplicate" }[] }> {
    const { clock } = this.#parts;
    const arrived =
      clock.kind === "world"
        ? events.map((event) => ({ ...event, time_ms: clock.nowMs() }))
        : events;
    const appended = await this.write(arrived);
    const last = appended.reduce((most, { seq }) => Math.max(most, seq), 0);
    await Promise.race([
      this.#parts.consumer.applied(last),
      delay(READ_YOUR_WRITES_MS, undefined, { ref: false }),
    ]);
    return {
      results: appended.map(({ duplicate }) => ({ status: duplicate ? "duplicate" : "accepted" })),
    };
  }

  /** As `append`, without waiting for the consumers: for records of the server itself, which have its time already. */
  async write(events: readonly Event[]): Promise<AppendResult[]> {
    const { log, clock } = this.#parts;
    const nowMs = clock.nowMs();
    const complete = events.map((event) => this.#complete(event));
    const results = await during("append", () => log.append(complete, nowMs));
    if (clock.kind === "world") await (clock as WorldClock).store(nowMs);
    return results;
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
