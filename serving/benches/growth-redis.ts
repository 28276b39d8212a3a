import type { Redis } from "ioredis";
import { FAN_OUT, FanOut } from "../../candidates/timelines/fan-out.ts";
import { FanOutLoad } from "../../candidates/timelines/fan-out-load.ts";
import { PulledAuthors } from "../../candidates/timelines/pulled-authors.ts";
import { ReaderActivity } from "../../candidates/timelines/reader-activity.ts";
import { RedisTimelines } from "../../candidates/timelines/redis-timelines.ts";
import { TimelineReader } from "../../candidates/timelines/timeline-reader.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { RoostError } from "../../errors.ts";
import { applyEvent } from "../../features/engine.ts";
import { type Entity, pairKey } from "../../features/entities.ts";
import { MemoryState } from "../../features/memory-store.ts";
import { FeatureKeys } from "../../features/redis/feature-keys.ts";
import { RedisFeatureReads } from "../../features/redis/redis-reads.ts";
import { RedisFeatureStore } from "../../features/redis/redis-store.ts";
import { PAGE, type Read } from "./growth-memory.ts";
import { eventsOf, NOW_MS, type Space, START_MS } from "./growth-space.ts";
import { pipelined } from "./redis-floors.ts";

const ENTITIES: ReadonlySet<Entity> = new Set(["post", "author", "user_author"]);
/** Of each entity, for the copies of one request. */
const CACHE_BYTES = 600_000;
/** Nothing is given up: what is late is to be seen. */
const TIMEOUT_MS = 5_000;

/** A space on Redis under a prefix of its own: what a reader's request asks for there. */
export interface RedisReads {
  /** A page of the stored following timeline. */
  readonly page: Read;
  /** What is stored about the page's posts, their authors and the pairs with them, without a copy of anything at hand. */
  readonly features: Read;
  /** Bare GETs of the same keys in one pipeline: what this grows by is Redis's own. */
  readonly floor: Read;
}

/** What a reader's page asks for. */
interface Asked {
  readonly postIds: readonly string[];
  readonly authorIds: readonly string[];
  readonly keys: readonly string[];
}

/** Fills a space and Redis. Timelines are pushed to as the posts come, feature state is written as a whole. */
export async function storeOnRedis(
  redis: RedisConnection,
  space: Space,
  seed: number,
): Promise<RedisReads> {
  const target = { ...redis.target, prefix: `${space.times}x:` };
  const connection = { ...redis, target };
  const timelines = await deliver(connection, space, seed);
  const store = await RedisFeatureStore.open({ connection, token: 1, now: () => NOW_MS });
  await store.replaceAll(1, vectorsOf(space.times, seed));
  await store.close();

  const page = async (userId: string) => {
    const found = await timelines.read(userId, { limit: PAGE, nowMs: NOW_MS });
    const { rebuilt, supplemented, degraded } = found;
    if (rebuilt || supplemented || degraded || found.posts.length < PAGE)
      throw new RoostError("INTERNAL", `no page in the stored timeline of ${userId}`);
    return found.posts;
  };
  const asked = new Map<string, Asked>();
  const names = new FeatureKeys(target.prefix);
  for (const userId of space.readers) {
    const posts = await page(userId);
    const postIds = posts.map(({ postId }) => postId);
    const authorIds = [...new Set(posts.map(({ authorId }) => authorId))];
    const keys = postIds.map((id) => names.of("post", id));
    for (const id of authorIds)
      keys.push(
        names.of("author", id),
        names.of("user_author", pairKey(userId, id)),
        names.of("user_author", pairKey(id, userId)),
      );
    asked.set(userId, { postIds, authorIds, keys });
  }
  const of = (userId: string) => asked.get(userId) as Asked;
  const options = { entities: ENTITIES, cacheBytes: CACHE_BYTES, timeoutMs: TIMEOUT_MS };
  return {
    page: (userId) => () => page(userId),
    features: (userId) => {
      const reads = new RedisFeatureReads(connection, () => NOW_MS, options);
      return async () => {
        const loaded = await reads.load({ userId, ...of(userId) });
        const { post, author, user_author } = loaded.counts;
        if (loaded.degraded || post.missing + author.missing > 0 || user_author.present === 0)
          throw new RoostError("INTERNAL", `the features of ${userId}'s page are not all there`);
      };
    },
    floor: (userId) => {
      const groups = [[redis.client as Redis, of(userId).keys]] as const;
      return () => pipelined(groups);
    },
  };
}

/** Everybody has a timeline from the beginning and was here lately: fan-out pushes each post to all of its author's followers. */
async function deliver(
  redis: RedisConnection,
  { posts, graph, apply, times }: Space,
  seed: number,
): Promise<TimelineReader> {
  const activity = new ReaderActivity();
  const pulled = new PulledAuthors(graph);
  const store = new RedisTimelines(redis);
  const facts = { posts, graph, activity, pulled, store };
  const load = new FanOutLoad();
  const fanOut = new FanOut({ ...facts, load, now: () => performance.now() }, FAN_OUT);
  let begun = false;
  for (const event of eventsOf(times, seed)) {
    if (event.type === "post_created" && !begun) {
      begun = true;
      for (const userId of graph.users()) fanOut.rebuild(userId, START_MS);
      await fanOut.settled();
    }
    await fanOut.apply([event], (applied) => {
      apply(applied);
      pulled.apply(applied);
    });
    // As large rounds as fan-out makes under load.
    if (event.seq % 10_000 === 0) fanOut.look();
  }
  await fanOut.settled();
  return new TimelineReader({ ...facts, fanOut });
}

/** Feature state of all posts, authors and users, and of each user with whom they follow. */
function* vectorsOf(
  times: number,
  seed: number,
): Generator<readonly [Entity, string, Float64Array]> {
  const state = new MemoryState();
  // What nothing that comes later changes is given at once: the state of the largest space would not fit beside the rest.
  function* done(...entities: Entity[]) {
    for (const entity of entities)
      for (const key of [...state.keys(entity)]) {
        yield [entity, key, state.get(entity, key) as Float64Array] as const;
        state.delete(entity, key);
      }
  }
  for (const event of eventsOf(times, seed)) {
    if (event.type === "user_created") yield* done("user", "user_follows", "user_author");
    applyEvent(state, event);
    if (event.type === "post_created") yield* done("post");
  }
  yield* state.entries();
}
