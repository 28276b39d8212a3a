import { deepStrictEqual } from "node:assert";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoggedEvent } from "../../datasets/events.ts";
import { readLog } from "../../datasets/log/reader.ts";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import { applyEvent } from "../../features/engine.ts";
import { ENTITIES } from "../../features/entities.ts";
import { MemoryState } from "../../features/memory-store.ts";
import type { FeatureStore } from "../../features/store.ts";
import { BroadcastState } from "../state/live-state.ts";
import { LogConsumer } from "../state/log-consumer.ts";
import { openState } from "../state/open-state.ts";
import { PostCounts } from "../state/post-counts.ts";

/** What a data directory that was left by a killed server holds. */
export interface CrashFindings {
  readonly records: number;
  /** Acknowledged event ids that the log does not have. */
  readonly lost: readonly string[];
  /** Event ids that the log has more than once. */
  readonly doubled: readonly string[];
  /** Derived states that differ from a clean replay of the log. */
  readonly differing: readonly string[];
}

/** Looks at a copy, so that the next start meets what the killed server left, not what looking at it mended. */
export async function checkAfterCrash(
  dataDir: string,
  acknowledged: ReadonlySet<string>,
): Promise<CrashFindings> {
  const copy = await mkdtemp(join(tmpdir(), "roost-crash-"));
  try {
    await cp(dataDir, join(copy, "space"), { recursive: true });
    return await check(join(copy, "space"), join(copy, "clean"), acknowledged);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function check(
  path: string,
  cleanPath: string,
  acknowledged: ReadonlySet<string>,
): Promise<CrashFindings> {
  const dir = openDataDir(path, "own");
  const { log, live, close } = await openState(dir);
  const places = { segments: dir.segments, log };
  const consumer = new LogConsumer(live, places);
  try {
    await consumer.start(() => {});
    const events: LoggedEvent[] = [];
    for await (const batch of readLog(places, { order: "seq" })) events.push(...batch);
    const times = new Map<string, number>();
    for (const { event_id } of events)
      if (event_id !== undefined) times.set(event_id, (times.get(event_id) ?? 0) + 1);
    const gaps = events.flatMap(({ seq }, i) => (seq === i + 1 ? [] : [`gap at ${i + 1}`]));
    return {
      records: events.length,
      lost: [...acknowledged].filter((id) => !times.has(id)),
      doubled: [...times].filter(([, n]) => n > 1).map(([id]) => id),
      differing: [...gaps.slice(0, 1), ...(await differences(live, events, cleanPath))],
    };
  } finally {
    await consumer.close();
    await close();
    dir.close();
  }
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
  for (const part of ["posts", "popular", "graph", "history"] as const)
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
  let vectors = 0;
  for (const [entity, key, vector] of clean.entries()) {
    vectors++;
    deepStrictEqual(live.get(entity, key), vector, `${entity} ${key}`);
  }
  let stored = 0;
  await live.transaction(live.position, (state) => {
    for (const entity of ENTITIES) for (const _ of state.keys(entity)) stored++;
  });
  deepStrictEqual(stored, vectors, "vectors stored");
}
