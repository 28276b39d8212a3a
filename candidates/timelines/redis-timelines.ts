import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { type KeyCommand, RedisGroups } from "../../datasets/storage/redis-groups.ts";
import { scanKeys } from "../../datasets/storage/redis-scan.ts";
import { RoostError } from "../../errors.ts";
import { memberPost, postMember } from "./post-member.ts";
import {
  CUT_TIMELINE,
  REBUILD_TIMELINE,
  type TimelineReads,
  withTimelineReads,
} from "./timeline-scripts.ts";
import {
  type BuiltTimeline,
  byPlace,
  type FanOutPosition,
  MOST_ENTRIES,
  type Push,
  type Removal,
  type TimelineEntry,
  type TimelineStore,
} from "./timeline-store.ts";

/** Some hundred times what a healthy Redis takes; a master's death would hold readers up for a second or more. */
const READ_TIMEOUT_MS = 250;
const DAY_MS = 86_400_000;
/** Timelines whose length this process remembers; past it all are looked at once more. */
const MOST_COUNTED = 2_000_000;
/** Timelines cut at once: few enough that pushes in between do not wait long. */
const CUT_AT_ONCE = 256;

export interface RedisTimelinesOptions {
  /** A timeline that nobody reads for this long expires: as long as its user may be away before pushes to it end. */
  readonly idleMs?: number;
  /** Replicas that must have what is written before that counts as done; 0: one where any is connected. */
  readonly replicas?: number;
  /** Told when Redis does not have what it had acknowledged. */
  readonly onLost?: () => void;
  /** How long a read waits: its caller can do without. */
  readonly readTimeoutMs?: number;
}

/** What the keys of all timelines begin with, and those of fan-out's positions. */
export const timelineKeys = (prefix: string): string => `${prefix}t:`;
export const positionKeys = (prefix: string): string => `${prefix}fanout:`;

/**
 * Timelines as sorted sets in Redis, single or Cluster: one key a user, score = time in ms, member = the post's id. Where a
 * replica is connected it has what is written before that counts as done.
 */
export class RedisTimelines implements TimelineStore {
  readonly #redis: RedisConnection;
  readonly #groups: RedisGroups;
  readonly #reads: TimelineReads;
  readonly #idleMs: number;
  readonly #readTimeoutMs: number;
  /** User → most entries that the timeline can have; whoever is not here is looked at after the next push. */
  readonly #counts = new Map<string, number>();

  constructor(redis: RedisConnection, options: RedisTimelinesOptions = {}) {
    this.#redis = redis;
    this.#groups = new RedisGroups(redis.client, undefined, options.replicas ?? 0, options.onLost);
    this.#reads = withTimelineReads(redis);
    this.#idleMs = options.idleMs ?? 30 * DAY_MS;
    this.#readTimeoutMs = options.readTimeoutMs ?? READ_TIMEOUT_MS;
  }

  async push(pushes: readonly Push[]): Promise<void> {
    const commands: KeyCommand[] = [];
    const users: string[] = [];
    for (const { entry, userIds } of pushes) {
      const member = postMember(entry.postId);
      const score = String(entry.timeMs);
      for (const userId of userIds) {
        commands.push({ key: this.#key(userId), call: "zadd", args: [score, member] });
        users.push(userId);
      }
    }
    const added = await this.#all(commands);
    const long = new Set<string>();
    for (let i = 0; i < users.length; i++) {
      const userId = users[i] as string;
      const before = this.#counts.get(userId);
      const count = (before ?? MOST_ENTRIES + 1) + (added[i] as number);
      if (added[i] !== 0 || before === undefined) this.#counts.set(userId, count);
      if (count > MOST_ENTRIES) long.add(userId);
    }
    if (long.size > 0) await this.#cut([...long]);
  }

  async read(
    userId: string,
    { after, limit }: { readonly after?: TimelineEntry | undefined; readonly limit: number },
  ): Promise<BuiltTimeline | undefined> {
    const entries: TimelineEntry[] = [];
    const highest = after?.timeMs ?? "+inf";
    // Redis reads on from a time only: entries of the same moment that were read before are passed over here.
    for (let skipped = 0; ; ) {
      const wanted = limit - entries.length;
      const answer = await this.#inTime(
        this.#reads.roostTimelineRead(this.#key(userId), this.#idleMs, highest, skipped, wanted),
      );
      if (answer === null) return undefined;
      const [built, floor, past, pairs] = answer;
      const floorMs = Math.max(-1, -Number(floor) - 2, Number(past));
      for (let i = 0; i < pairs.length; i += 2) {
        const entry = { postId: memberPost(pairs[i] as string), timeMs: Number(pairs[i + 1]) };
        if (entry.timeMs > floorMs && (after === undefined || byPlace(entry, after) > 0))
          entries.push(entry);
      }
      const read = pairs.length / 2;
      const bottom = Number(pairs.at(-1) ?? -1);
      if (entries.length >= limit || read < wanted || bottom <= floorMs)
        return { entries, floorMs, builtAtMs: -Number(built) - 1 };
      skipped += read;
    }
  }

  /** @throws REDIS_UNAVAILABLE when there is no answer in time */
  async #inTime<T>(answer: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = () =>
        new RoostError("REDIS_UNAVAILABLE", `no timeline within ${this.#readTimeoutMs} ms`);
      // An answer that is here already goes first, when it was this process that had no time.
      timer = setTimeout(() => setImmediate(() => reject(error())), this.#readTimeoutMs);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async rebuild(userId: string, { entries, floorMs, builtAtMs }: BuiltTimeline): Promise<void> {
    const args: (string | number)[] = [this.#idleMs, -builtAtMs - 1, -floorMs - 2];
    for (const { postId, timeMs } of entries) args.push(timeMs, postMember(postId));
    const [left] = await this.#all([{ key: this.#key(userId), call: REBUILD_TIMELINE, args }]);
    this.#counts.set(userId, left as number);
  }

  async remove(removals: readonly Removal[]): Promise<void> {
    const members = new Map<readonly string[], readonly string[]>();
    const commands: KeyCommand[] = [];
    for (const { userId, postIds } of removals) {
      if (postIds.length === 0) continue;
      let encoded = members.get(postIds);
      if (encoded === undefined) {
        encoded = postIds.map(postMember);
        members.set(postIds, encoded);
      }
      commands.push({ key: this.#key(userId), call: "zrem", args: encoded });
    }
    // What is counted too high by this is looked at sooner than it need be, and counted anew.
    await this.#all(commands);
  }

  async forget(userIds: readonly string[]): Promise<void> {
    for (const userId of userIds) this.#counts.delete(userId);
    await this.#all(
      userIds.map((userId) => ({ key: this.#key(userId), call: "unlink", args: [] })),
    );
  }

  /** Forgets every timeline and position: timelines are made anew when their readers come. */
  async clear(): Promise<void> {
    const { client, target } = this.#redis;
    const keys = [
      ...(await scanKeys(client, `${target.prefix}fanout:`)),
      ...(await scanKeys(client, `${target.prefix}t:`)),
    ];
    await this.#all(keys.map((key) => ({ key, call: "unlink", args: [] })));
    this.#counts.clear();
  }

  async count(userId: string): Promise<number> {
    return this.#redis.client.zcount(this.#key(userId), 0, "+inf");
  }

  async bytes(userId: string): Promise<number> {
    const bytes = await this.#redis.client.memory("USAGE", this.#key(userId), "SAMPLES", 0);
    return Number(bytes ?? 0);
  }

  async position(name: string): Promise<FanOutPosition | undefined> {
    const text = await this.#redis.client.get(this.#positionKey(name));
    return text === null ? undefined : (JSON.parse(text) as FanOutPosition);
  }

  async savePosition(name: string, { seq, timeMs }: FanOutPosition): Promise<void> {
    const args = [JSON.stringify({ seq, timeMs })];
    await this.#all([{ key: this.#positionKey(name), call: "set", args }]);
  }

  async #cut(userIds: readonly string[]): Promise<void> {
    if (this.#counts.size > MOST_COUNTED) this.#counts.clear();
    for (let at = 0; at < userIds.length; at += CUT_AT_ONCE) {
      const cut = userIds.slice(at, at + CUT_AT_ONCE);
      const left = await this.#all(
        cut.map((userId) => ({
          key: this.#key(userId),
          call: CUT_TIMELINE,
          args: [this.#idleMs],
        })),
      );
      for (const [i, userId] of cut.entries()) this.#counts.set(userId, left[i] as number);
    }
  }

  /** @throws the first command's error that there is */
  async #all(commands: readonly KeyCommand[]): Promise<unknown[]> {
    const answers = await this.#groups.run(commands);
    for (const answer of answers) if (answer instanceof Error) throw answer;
    return answers;
  }

  #key(userId: string): string {
    return `${timelineKeys(this.#redis.target.prefix)}{${userId}}`;
  }

  #positionKey(name: string): string {
    return `${positionKeys(this.#redis.target.prefix)}${name}`;
  }
}
