import type { Event, LoggedEvent } from "../../datasets/events.ts";
import { NOON } from "../events.fixture.ts";
import { PostStore } from "../post-store.ts";
import { SocialGraph } from "../social-graph.ts";
import { FAN_OUT, FanOut, type FanOutOptions } from "./fan-out.ts";
import { FanOutLoad } from "./fan-out-load.ts";
import { MemoryTimelines } from "./memory-timelines.ts";
import { PULLED_AUTHORS, PulledAuthors, type PulledAuthorsOptions } from "./pulled-authors.ts";
import { ReaderActivity } from "./reader-activity.ts";
import { TimelineReader, type TimelineRequest } from "./timeline-reader.ts";
import type { TimelineStore } from "./timeline-store.ts";

/** The states that events move, fan-out and reading over one log and one store. */
export class TimelineSpace {
  readonly store: TimelineStore;
  readonly log: LoggedEvent[] = [];
  readonly #pulledOptions: PulledAuthorsOptions;
  readonly #options: FanOutOptions;
  posts = new PostStore();
  graph = new SocialGraph();
  activity = new ReaderActivity();
  pulled: PulledAuthors;
  readonly load = new FanOutLoad();
  fanOut: FanOut;
  reader: TimelineReader;
  /** What the store refuses next. */
  failures = 0;
  #held: Promise<void> | undefined;
  #release: () => void = () => {};
  #nowMs = 0;
  /** A clock that has gone on whenever it is looked at, so that the position is kept often. */
  readonly #now = (): number => {
    this.#nowMs += 1_000;
    return this.#nowMs;
  };

  constructor(
    pulled: Partial<PulledAuthorsOptions> = {},
    options: FanOutOptions = FAN_OUT,
    store: TimelineStore = new MemoryTimelines(),
  ) {
    this.#pulledOptions = { ...PULLED_AUTHORS, ...pulled };
    this.#options = options;
    this.store = store;
    this.pulled = new PulledAuthors(this.graph, this.#pulledOptions);
    this.fanOut = this.#makeFanOut();
    this.reader = this.#makeReader();
  }

  /** Takes records and waits until they are delivered. */
  async take(...events: readonly Event[]): Promise<void> {
    await this.fanOut.apply(this.logged(events), this.apply);
    await this.fanOut.settled();
  }

  /** Takes records without waiting. */
  plan(...events: readonly Event[]): void {
    for (const event of this.logged(events)) this.fanOut.plan(event, this.apply);
  }

  logged(events: readonly Event[]): LoggedEvent[] {
    const records = events.map((event, i) => ({ ...event, seq: this.log.length + 1 + i }));
    this.log.push(...records);
    return records;
  }

  readonly apply = (event: LoggedEvent): void => {
    this.posts.apply(event);
    this.graph.apply(event);
    this.pulled.apply(event);
    this.activity.apply(event);
  };

  /** Writes to the store wait until `release`. */
  hold(): void {
    this.#held ??= new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#held = undefined;
    this.#release();
  }

  /** Lets what can run now run. */
  tick(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Ends the process as `kill -9` does and starts another that has only the log and the store. */
  async crash(): Promise<void> {
    const old = this.fanOut;
    this.failures = Number.POSITIVE_INFINITY;
    this.release();
    await old.close();
    this.failures = 0;
    this.posts = new PostStore();
    this.graph = new SocialGraph();
    this.activity = new ReaderActivity();
    this.pulled = new PulledAuthors(this.graph, this.#pulledOptions);
    this.fanOut = this.#makeFanOut();
    this.reader = this.#makeReader();
    await this.fanOut.resume();
    await this.fanOut.apply(this.log, this.apply);
  }

  async read(userId: string, request: Partial<TimelineRequest> = {}): Promise<string[]> {
    const nowMs = Math.max(NOON, this.posts.newestMs);
    const page = await this.reader.read(userId, { limit: 50, nowMs, ...request });
    return page.posts.map(({ postId }) => postId);
  }

  /** The whole timeline, page by page. */
  async readAll(userId: string, limit = 100): Promise<string[]> {
    const nowMs = Math.max(NOON, this.posts.newestMs);
    const ids: string[] = [];
    for (let after: TimelineRequest["after"]; ; ) {
      const page = await this.reader.read(userId, { limit, nowMs, after });
      for (const { postId } of page.posts) ids.push(postId);
      after = page.next;
      if (after === undefined) return ids;
    }
  }

  /** Ids in the stored timeline. */
  async stored(userId: string): Promise<string[]> {
    const timeline = await this.store.read(userId, { limit: 1_000 });
    return timeline?.entries.map(({ postId }) => postId) ?? [];
  }

  #makeFanOut(): FanOut {
    const { posts, graph, activity, pulled, load } = this;
    const store = this.#gated();
    const parts = { posts, graph, activity, pulled, store, load, now: this.#now };
    return new FanOut(parts, this.#options);
  }

  #makeReader(): TimelineReader {
    const { posts, graph, activity, pulled, store, fanOut } = this;
    return new TimelineReader({ posts, graph, activity, pulled, store, fanOut });
  }

  /** The store as fan-out sees it: held up and failing as told. */
  #gated(): TimelineStore {
    const { store } = this;
    const gate = async (): Promise<void> => {
      await this.#held;
      if (this.failures > 0) {
        this.failures--;
        throw new Error("the store is gone");
      }
    };
    return {
      push: (pushes) => gate().then(() => store.push(pushes)),
      remove: (removals) => gate().then(() => store.remove(removals)),
      rebuild: (userId, timeline) => gate().then(() => store.rebuild(userId, timeline)),
      forget: (userIds) => gate().then(() => store.forget(userIds)),
      savePosition: (name, position) => gate().then(() => store.savePosition(name, position)),
      read: (userId, range) => store.read(userId, range),
      count: (userId) => store.count(userId),
      bytes: (userId) => store.bytes(userId),
      position: (name) => store.position(name),
    };
  }
}
