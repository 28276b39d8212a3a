import { PostStore } from "../../candidates/post-store.ts";
import { SocialGraph } from "../../candidates/social-graph.ts";
import { FAN_OUT, FanOut } from "../../candidates/timelines/fan-out.ts";
import { FanOutLoad } from "../../candidates/timelines/fan-out-load.ts";
import { PULLED_AUTHORS, PulledAuthors } from "../../candidates/timelines/pulled-authors.ts";
import { ReaderActivity } from "../../candidates/timelines/reader-activity.ts";
import { RedisTimelines } from "../../candidates/timelines/redis-timelines.ts";
import { TimelineReader } from "../../candidates/timelines/timeline-reader.ts";
import type { Push } from "../../candidates/timelines/timeline-store.ts";
import { type EventOf, EventSchema, type LoggedEvent } from "../../datasets/events.ts";
import { snowflake } from "../../datasets/ids.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";

/** The moment at which a space begins; every reader was here a minute before. */
export const START_MS = Date.UTC(2025, 4, 5, 12);
export const MINUTE_MS = 60_000;

/** States, fan-out and reader over one Redis, with keys of its own. */
export class FanOutSpace {
  readonly posts = new PostStore();
  readonly graph = new SocialGraph();
  readonly activity = new ReaderActivity();
  readonly pulled = new PulledAuthors(this.graph, PULLED_AUTHORS);
  readonly store: RedisTimelines;
  readonly fanOut: FanOut;
  readonly reader: TimelineReader;
  readonly load = new FanOutLoad();
  #seq = 0;
  nowMs = START_MS;

  constructor(redis: RedisConnection, name: string, onPushed: (push: Push) => void = () => {}) {
    const { posts, graph, activity, pulled, load } = this;
    const target = { ...redis.target, prefix: `${name}:` };
    this.store = new RedisTimelines({ ...redis, target });
    const push = this.store.push.bind(this.store);
    this.store.push = async (pushes) => {
      await push(pushes);
      for (const one of pushes) onPushed(one);
    };
    const facts = { posts, graph, activity, pulled, store: this.store };
    const now = () => performance.now();
    this.fanOut = new FanOut({ ...facts, load, now }, { ...FAN_OUT, mostWaiting: 1_000_000 });
    this.reader = new TimelineReader({ ...facts, fanOut: this.fanOut });
  }

  readonly #apply = (event: LoggedEvent): void => {
    this.posts.apply(event);
    this.graph.apply(event);
    this.pulled.apply(event);
    this.activity.apply(event);
  };

  follow(userId: string, authorId: string): void {
    const time_ms = this.nowMs - MINUTE_MS;
    this.graph.apply({ type: "follow", time_ms, user_id: userId, target_id: authorId });
    this.activity.note(userId, time_ms);
  }

  /** Makes these authors pulled without the crowds that they would need. */
  pull(authorIds: readonly string[]): void {
    const untilMs = Number.MAX_SAFE_INTEGER;
    const authors = new Map(authorIds.map((id) => [id, { untilMs, pushedUntilMs: 0 }]));
    this.pulled.restore({ authors, streamMs: 0 });
  }

  post(authorId: string): LoggedEvent {
    this.#seq++;
    this.nowMs++;
    return { ...newPost(this.nowMs, this.#seq, authorId), seq: this.#seq };
  }

  plan(event: LoggedEvent): void {
    this.fanOut.plan(event, this.#apply);
  }
}

const newPost = (timeMs: number, sequence: number, authorId: string): EventOf<"post_created"> =>
  EventSchema.parse({
    type: "post_created",
    time_ms: timeMs,
    post_id: snowflake(timeMs, sequence % 4_194_304),
    author_id: authorId,
  }) as EventOf<"post_created">;

export const user = (i: number): string => String(1_000_000 + i);
export const author = (i: number): string => String(900_000_000 + i);
