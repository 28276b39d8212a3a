import { parseArgs } from "node:util";
import { startRedis } from "../../datasets/storage/own-redis.ts";
import { connectRedis, parseRedisUrl } from "../../datasets/storage/redis.ts";
import { type Figure, figure, quantile, writeReport } from "./bench-report.ts";
import { inNetwork, mapFloor, page, postsFloor, type Read } from "./growth-memory.ts";
import { type RedisReads, storeOnRedis } from "./growth-redis.ts";
import { eventsOf, POSTS_PER_USER, Space, TIMES, USERS } from "./growth-space.ts";

/*
 * What a reader's posts cost to find in spaces of 1, 10 and 100 times as many users and posts. A reader follows as many
 * accounts in each, which write as much: a read should cost what it brings, not what there is. Beside each stands what the
 * least that finds as much costs in the same spaces; what that grows by no code can save. With `--redis` on a redis-server of
 * its own too, which keeps nothing on disk.
 */
const ROUNDS = 7;

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    redis: { type: "boolean", default: false },
    seed: { type: "string", default: "1" },
  },
});

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write("usage: roost bench growth [--redis] [--seed N (1)] [--json]\n");
    return;
  }
  const seed = Number(flags.seed);
  const spaces = TIMES.map((times) => new Space(times));
  if (!flags.redis) {
    for (const space of spaces) for (const event of eventsOf(space.times, seed)) space.apply(event);
    await measure(spaces, seed);
    return;
  }
  const server = await startRedis();
  const redis = await connectRedis(parseRedisUrl(server.url));
  try {
    const stored: RedisReads[] = [];
    for (const space of spaces) stored.push(await storeOnRedis(redis, space, seed));
    const keys = figure("redis_keys", await redis.client.dbsize(), "keys");
    const used = Number(/used_memory:(\d+)/.exec(await redis.client.info("memory"))?.[1]);
    const bytes = figure("redis_mb", used / 1e6, "MB");
    await measure(spaces, seed, { stored, figures: [keys, bytes] });
  } finally {
    await redis.close();
    await server.stop();
  }
}

async function measure(
  spaces: readonly Space[],
  seed: number,
  redis?: { readonly stored: readonly RedisReads[]; readonly figures: readonly Figure[] },
): Promise<void> {
  const kinds: Record<string, Read[]> = {
    in_network: spaces.map(inNetwork),
    page: spaces.map(page),
    map_floor: spaces.map(mapFloor),
    posts_floor: spaces.map(postsFloor),
  };
  if (redis !== undefined) {
    kinds.redis_page = redis.stored.map((reads) => reads.page);
    kinds.redis_features = redis.stored.map((reads) => reads.features);
    kinds.redis_floor = redis.stored.map((reads) => reads.floor);
  }
  const rounds = await alternate(spaces, kinds);
  const p50 = (kind: string, times: number): number =>
    quantile(rounds[`${kind}_${times}x`] as number[], 0.5);
  const ratios = (name: string, summed: readonly string[]): Figure[] => {
    const ms = (times: number) => summed.reduce((sum, kind) => sum + p50(kind, times), 0);
    return TIMES.slice(1).map((times) => figure(`${name}_ratio_${times}x`, ms(times) / ms(1), ""));
  };
  const figures = [
    ...ratios("read", ["in_network", "page"]),
    ...ratios("map_floor", ["map_floor"]),
    ...ratios("posts_floor", ["posts_floor"]),
    ...(redis === undefined
      ? []
      : [
          ...ratios("redis_read", ["redis_page", "redis_features"]),
          ...ratios("redis_floor", ["redis_floor"]),
        ]),
    ...Object.keys(kinds).flatMap((kind) =>
      TIMES.map((times) => figure(`${kind}_p50_ms_${times}x`, p50(kind, times), "ms")),
    ),
    figure("posts_100x", 100 * USERS * POSTS_PER_USER, "posts"),
    ...(redis?.figures ?? []),
  ];
  writeReport("growth", { seed, rounds, figures }, flags.json);
}

/** Medians in ms of all readers, of each round, by kind and space. One kind at a time: none finds what another has just read. */
async function alternate(
  spaces: readonly Space[],
  kinds: Readonly<Record<string, readonly Read[]>>,
): Promise<Record<string, number[]>> {
  const rounds: Record<string, number[]> = {};
  for (let round = -1; round < ROUNDS; round++)
    // Each round turns the order round, so that none profits from what the others left in the processor's caches.
    for (const [kind, reads] of Object.entries(kinds))
      for (const i of round % 2 === 0 ? [0, 1, 2] : [2, 1, 0]) {
        const { times, readers } = spaces[i] as Space;
        const took: number[] = [];
        for (const readerId of readers) {
          const call = (reads[i] as Read)(readerId);
          const startedAt = performance.now();
          await call();
          took.push(performance.now() - startedAt);
        }
        if (round < 0) continue;
        const name = `${kind}_${times}x`;
        rounds[name] = [...(rounds[name] ?? []), quantile(took, 0.5)];
      }
  return rounds;
}

await main();
