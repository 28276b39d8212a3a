import { deepStrictEqual } from "node:assert";
import { randomUUID } from "node:crypto";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { followingPosts } from "../../candidates/timelines/timeline-reader.ts";
import type { LoggedEvent } from "../../datasets/events.ts";
import { readLog } from "../../datasets/log/reader.ts";
import { type DataDir, openDataDir } from "../../datasets/storage/data-dir.ts";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import { connectRedis, parseRedisUrl } from "../../datasets/storage/redis.ts";
import { applyEvent } from "../../features/engine.ts";
import { ENTITIES } from "../../features/entities.ts";
import { MemoryState } from "../../features/memory-store.ts";
import type { FeatureStore } from "../../features/store.ts";
import { closeInTurn } from "../close-in-turn.ts";
import type { ReadTimeline } from "../following-timeline.ts";
import { BroadcastState } from "../state/live-state.ts";
import { LogConsumer } from "../state/log-consumer.ts";
import { openRedisState } from "../state/open-redis-state.ts";
import { type OpenState, openState } from "../state/open-state.ts";
import { PostCounts } from "../state/post-counts.ts";

/** A killed server's lease is had again after so long. */
export const LEASE_TTL_MS = 1_000;

const LATE_ANSWERS = 5;

/** What a data directory that was left by a killed server holds. */
export interface CrashFindings {
  readonly records: number;
  /** Acknowledged event ids that the log does not have. */
  readonly lost: readonly string[];
  /** Event ids that the log has more than once. */
  readonly doubled: readonly string[];
  /** Derived states that differ from a clean replay of the log. */
  readonly differing: readonly string[];
  /** Where the log has each event id first. */
  readonly seqs: ReadonlyMap<string, number>;
}

/**
 * Looks at a copy, so that the next start meets what the killed server left, not what looking at it mended. What is on Redis
 * is looked at where it is, and so mended.
 */
export async function checkAfterCrash(
  dataDir: string,
  acknowledged: ReadonlySet<string>,
  redisUrl?: string,
): Promise<CrashFindings> {
  const copy = await mkdtemp(join(tmpdir(), "roost-crash-"));
  const closers: (() => unknown)[] = [];
  try {
    const path = redisUrl === undefined ? join(copy, "space") : dataDir;
    if (redisUrl === undefined) await cp(dataDir, path, { recursive: true });
    const dir = openDataDir(path, "own");
    closers.push(() => dir.close());
    const state = await opened(dir, redisUrl, closers);
    return await check(dir, state, { cleanPath: join(copy, "clean"), acknowledged });
  } finally {
    await closeInTurn(closers);
    await rm(copy, { recursive: true, force: true });
  }
}

async function opened(
  dir: DataDir,
  redisUrl: string | undefined,
  closers: (() => unknown)[],
): Promise<OpenState> {
  let state: OpenState;
  if (redisUrl === undefined) state = await openState(dir);
  else {
    const connection = await connectRedis(parseRedisUrl(redisUrl));
    closers.push(() => connection.close());
    state = await openRedisState(dir, {
      connection,
      owner: randomUUID(),
      wallMs: Date.now,
      monotonicMs: () => performance.now(),
      onNotice: () => {},
      onLost: () => {},
      leaseTtlMs: LEASE_TTL_MS,
    });
  }
  closers.push(() => state.close());
  return state;
}

async function check(
  dir: DataDir,
  { log, live, timeline, fanOut }: OpenState,
  { cleanPath, acknowledged }: { cleanPath: string; acknowledged: ReadonlySet<string> },
): Promise<CrashFindings> {
  const places = { segments: dir.segments, log };
  const consumer = new LogConsumer(live, places);
  try {
    await consumer.start(() => {});
    const events: LoggedEvent[] = [];
    for await (const batch of readLog(places, { order: "seq" })) events.push(...batch);
    const times = new Map<string, number>();
    const seqs = new Map<string, number>();
    for (const { event_id, seq } of events) {
      if (event_id === undefined) continue;
      times.set(event_id, (times.get(event_id) ?? 0) + 1);
      if (!seqs.has(event_id)) seqs.set(event_id, seq);
    }
    const gaps = events.flatMap(({ seq }, i) => (seq === i + 1 ? [] : [`gap at ${i + 1}`]));
    return {
      records: events.length,
      seqs,
      lost: [...acknowledged].filter((id) => !times.has(id)),
      doubled: [...times].filter(([, n]) => n > 1).map(([id]) => id),
      differing: [
        ...gaps.slice(0, 1),
        ...(await differences(live, events, cleanPath)),
        ...(await unlikePosts(live.broadcast, timeline, readersOf(events), async () =>
          fanOut?.settled(),
        )),
      ],
    };
  } finally {
    await consumer.close();
  }
}

const readersOf = (events: readonly LoggedEvent[]): ReadonlySet<string> =>
  new Set(events.flatMap((event) => (event.type === "follow" ? [event.user_id] : [])));

/** Readers whose stored timeline shows something else than the posts that there are. */
async function unlikePosts(
  broadcast: BroadcastState,
  timeline: ReadTimeline,
  readers: Iterable<string>,
  settled: () => Promise<void>,
): Promise<string[]> {
  await settled();
  const request = { limit: 1_000, nowMs: broadcast.posts.newestMs };
  const unlike: string[] = [];
  for (const user of readers) {
    const wanted = followingPosts(user, request, broadcast).posts.map(({ postId }) => postId);
    // Twice: a first visit may find none, which is then made.
    await timeline(user, request);
    await settled();
    let read = await timeline(user, request);
    // On a busy machine an answer may come too late.
    for (let again = 0; read.degraded && again < LATE_ANSWERS; again++)
      read = await timeline(user, request);
    const found = read.posts.map(({ postId }) => postId);
    if (read.degraded || read.supplemented) unlike.push(`timeline of ${user}: not the stored one`);
    const missing = wanted.filter((id) => !found.includes(id));
    const strange = found.filter((id) => !wanted.includes(id));
    if (found.join() !== wanted.join())
      unlike.push(
        `timeline of ${user}: without ${missing.slice(0, 5)}, with ${strange.slice(0, 5)}`,
      );
  }
  return unlike;
}

/** Names of the states that a replay of the events, one by one, does not give. */
async function differences(
  live: { broadcast: BroadcastState; features: FeatureStore; counts: PostCounts },
  events: readonly LoggedEvent[],
  cleanPath: string,
): Promise<string[]> {
  const features = new MemoryState();
  const broadcast = new BroadcastState();
  const root = openLmdb(cleanPath);
  const counts = new PostCounts(root);
  for (const event of events) {
    applyEvent(features, event);
    broadcast.apply(event);
  }
  await counts.add(events);
  const posts = new Set(events.flatMap((event) => ("post_id" in event ? [event.post_id] : [])));
  const compared: Record<string, () => Promise<void> | void> = {
    features: () => sameFeatures(features, live.features),
    counts: () => {
      for (const post of posts) deepStrictEqual(live.counts.of(post), counts.of(post));
    },
  };
  for (const part of ["posts", "popular", "graph", "history", "pulled"] as const)
    compared[part] = () =>
      deepStrictEqual(live.broadcast[part].snapshot(), broadcast[part].snapshot());
  const differing: string[] = [];
  for (const [name, compare] of Object.entries(compared)) {
    try {
      await compare();
    } catch (error) {
      differing.push(`${name}: ${(error as Error).message.slice(0, 400)}`);
    }
  }
  await root.close();
  return differing;
}

async function sameFeatures(clean: MemoryState, live: FeatureStore): Promise<void> {
  const found = new Map<string, Float64Array | undefined>();
  let stored = 0;
  // Inside a transaction every store gives all that it has.
  await live.transaction(live.position, (state) => {
    stored = 0;
    for (const [entity, key] of clean.entries())
      found.set(`${entity} ${key}`, state.get(entity, key));
    for (const entity of ENTITIES) for (const _ of state.keys(entity)) stored++;
  });
  for (const [entity, key, vector] of clean.entries())
    deepStrictEqual(found.get(`${entity} ${key}`), vector, `${entity} ${key}`);
  deepStrictEqual(stored, found.size, "vectors stored");
}
