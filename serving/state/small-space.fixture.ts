import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Event, LoggedEvent } from "../../datasets/events.ts";
import { EventSchema } from "../../datasets/events.ts";
import { readLog } from "../../datasets/log/reader.ts";
import { SegmentWriter } from "../../datasets/log/segments.ts";
import { random } from "../../datasets/random.ts";
import { type DataDir, openDataDir } from "../../datasets/storage/data-dir.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { ENTITIES } from "../../features/entities.ts";
import { smallWorld } from "../../features/small-world.fixture.ts";
import { closeInTurn } from "../close-in-turn.ts";
import { LogConsumer } from "./log-consumer.ts";
import { openRedisState } from "./open-redis-state.ts";
import { type OpenState, openState } from "./open-state.ts";

/** No pause of a busy machine takes a server's lease; it is given back when the server closes. */
const LEASE_TTL_MS = 3_000;
const USERS = 12;
const POSTS = 100;

/** Ids as long as real ones, so that a search for one finds nothing else. */
export const userId = (n: number | string): string =>
  String(731_000_000_000_000_000n + 7_777_777n * BigInt(n));
export const postId = (n: number | string): string =>
  String(922_000_000_000_000_000n + 5_555_555n * BigInt(n));
export const USER_IDS = Array.from({ length: USERS }, (_, i) => userId(i + 1));
export const POST_IDS = Array.from({ length: POSTS }, (_, i) => postId(1_000 + i));
/** Whom the world's own log deletes; and somebody whom it does not. */
export const DELETED = userId(12);
export const ALIVE = userId(5);

const ID_OF: Readonly<Record<string, (n: string) => string>> = {
  user_id: userId,
  target_id: userId,
  author_id: userId,
  in_reply_to_author_id: userId,
  repost_of_author_id: userId,
  quote_of_author_id: userId,
  post_id: postId,
  in_reply_to_post_id: postId,
  repost_of_post_id: postId,
  quote_of_post_id: postId,
  conversation_id: postId,
};

/**
 * The log of a small world in order of arrival: nearly in order of time, and with what comes late: likes before their post,
 * deletions before what they delete, likes of a user who is deleted by then.
 */
export function smallLog(seed: number): Event[] {
  const rnd = random(seed, "small log");
  const plain = smallWorld(seed, { users: USERS, posts: POSTS, impressions: 320 });
  const lastMs = plain.at(-1)?.time_ms as number;
  const firstMs = plain.find(({ type }) => type === "follow")?.time_ms as number;
  const at = (share: number): number => Math.floor(firstMs + share * (lastMs - firstMs));
  const user = (): string => String(1 + rnd.below(USERS));
  const more: Record<string, unknown>[] = [];
  for (let i = 0; i < 40; i++) {
    const [user_id, target_id] = [user(), user()];
    const type = ["block", "unblock", "mute", "unmute", "unfollow", "follow"][i % 6];
    if (user_id !== target_id) more.push({ type, time_ms: at(rnd.next()), user_id, target_id });
  }
  for (let i = 0; i < 8; i++)
    more.push({
      type: "post_deleted",
      time_ms: at(0.5 + 0.5 * rnd.next()),
      post_id: String(1_000 + rnd.below(POSTS)),
      author_id: "1",
    });
  for (const [i, text] of ["rain", "tea"].entries())
    more.push({
      type: "muted_keywords_set",
      time_ms: at(0.7),
      user_id: String(i + 4),
      keywords: [text],
    });
  more.push({ type: "user_deleted", time_ms: at(0.8), user_id: "12" });
  for (const [i, user_id] of ["5", "6", "7"].entries())
    more.push({
      type: "served",
      time_ms: at(0.9),
      user_id,
      request_id: `s${i}`,
      ...SERVED,
      items: [1, 2, 3].map((n) => ({
        post_id: String(1_080 + n),
        author_id: String(3 + n),
        score: 1 / n,
        source: "in_network",
        in_network: true,
      })),
    });
  const all = [...plain, ...more.map((event) => event as unknown as Event)].sort(
    (a, b) => a.time_ms - b.time_ms,
  );
  // Now and then a record is overtaken by many: what was said first comes last.
  const places = all.map((event, i) => ({
    event,
    place: i + (rnd.next() < 0.05 && event.type !== "user_created" ? 30 + rnd.below(200) : 0),
  }));
  places.sort((a, b) => a.place - b.place);
  return places.map(({ event }, i) => {
    const renamed = renameIds({ ...event, event_id: `e${i}` }) as Record<string, unknown>;
    return EventSchema.parse(renamed) as Event;
  });
}

const SERVED = {
  product: "for_you",
  log_position: 0,
  experiments: [],
  weights_checksum: "none",
  model_versions: {},
  policy: "deterministic",
  deterministic: true,
};

function renameIds(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(renameIds);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      typeof inner === "string" ? (ID_OF[name]?.(inner) ?? inner) : renameIds(inner),
    ]),
  );
}

const made: string[] = [];
afterAll(async () => {
  for (const path of made.splice(0)) await rm(path, { recursive: true, force: true });
});

/** A data directory, and its Redis where it has one. */
export interface SmallSpace {
  readonly path: string;
  readonly redis: RedisConnection | undefined;
}

/** A space whose first records lie in a segment. */
export async function smallSpace(
  rolled: readonly Event[],
  redis?: RedisConnection,
): Promise<SmallSpace> {
  const path = await mkdtemp(join(tmpdir(), "roost-small-"));
  made.push(path);
  const writer = new SegmentWriter(join(path, "segments"));
  await writer.appendAll(rolled);
  await writer.close();
  return { path, redis };
}

/** What of a server holds the space's state. */
export interface Running extends OpenState {
  readonly dir: DataDir;
  /** Appends as clients do, and waits until all is applied and delivered. */
  append(events: readonly Event[]): Promise<void>;
  settled(): Promise<void>;
  records(): Promise<LoggedEvent[]>;
}

/** Opens the space, lets it catch up, and closes it as a clean stop does. */
export async function running<T>(
  { path, redis }: SmallSpace,
  use: (space: Running) => Promise<T>,
): Promise<T> {
  const closers: (() => unknown)[] = [];
  try {
    const dir = openDataDir(path, "own");
    closers.push(() => dir.close());
    const state =
      redis === undefined
        ? await openState(dir)
        : await openRedisState(dir, {
            connection: redis,
            owner: randomUUID(),
            wallMs: () => 0,
            monotonicMs: () => 0,
            onNotice: () => {},
            onLost: () => {},
            leaseTtlMs: LEASE_TTL_MS,
          });
    closers.push(() => state.close());
    const { log, live, fanOut } = state;
    const places = { segments: dir.segments, log };
    const consumer = new LogConsumer(live, places);
    closers.push(() => consumer.close());
    if (state.drain !== undefined) closers.push(state.drain);
    const settled = async (): Promise<void> => {
      await consumer.applied(log.lastSeq());
      await fanOut?.settled();
    };
    await consumer.start((error) => {
      throw error;
    });
    await settled();
    return await use({
      ...state,
      dir,
      settled,
      append: async (events) => {
        for (let from = 0; from < events.length; from += 40) {
          const some = events.slice(from, from + 40);
          await log.append(some, some[0]?.time_ms as number);
          await consumer.applied(log.lastSeq());
        }
        await settled();
      },
      records: async () => {
        const all: LoggedEvent[] = [];
        for await (const batch of readLog(places, { order: "seq" })) all.push(...batch);
        return all;
      },
    });
  } finally {
    await closeInTurn(closers);
  }
}

/** Every feature vector there is, to the bit. */
export async function featuresOf({ live }: Running): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const { features } = live;
  // Inside a transaction every store gives all that it has.
  await features.transaction(features.position, (state) => {
    found.clear();
    for (const entity of ENTITIES)
      for (const key of state.keys(entity)) {
        const vector = state.get(entity, key) as Float64Array;
        found.set(`${entity} ${key}`, Buffer.from(new Float64Array(vector).buffer).toString("hex"));
      }
  });
  return found;
}

export const countsOf = ({ live }: Running): Record<string, unknown> =>
  Object.fromEntries(POST_IDS.map((id) => [id, live.counts.of(id)]));

/** What every reader's following timeline shows when it stands. */
export async function timelinesOf({
  timeline,
  live,
  settled,
}: Running): Promise<
  Record<string, { readonly ids: readonly string[]; readonly stored: boolean }>
> {
  const shown: Record<string, { ids: string[]; stored: boolean }> = {};
  const request = { limit: 1_000, nowMs: live.broadcast.posts.newestMs };
  for (const user of USER_IDS) {
    // The first visit may find none, which is then made.
    await timeline(user, request);
    await settled();
    const { posts, degraded, supplemented } = await timeline(user, request);
    shown[user] = { ids: posts.map(({ postId }) => postId), stored: !degraded && !supplemented };
  }
  return shown;
}
