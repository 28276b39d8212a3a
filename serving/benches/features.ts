import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import keySlot from "cluster-key-slot";
import type { Cluster, Redis } from "ioredis";
import { open } from "lmdb";
import { readDataset } from "../../datasets/dataset.ts";
import { random } from "../../datasets/random.ts";
import { startRedis, startRedisCluster } from "../../datasets/storage/own-redis.ts";
import { connectRedis, parseRedisUrl, type RedisConnection } from "../../datasets/storage/redis.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import { applyEvent } from "../../features/engine.ts";
import { ENTITIES, type Entity, type StateView } from "../../features/entities.ts";
import { LmdbFeatureStore } from "../../features/lmdb-store.ts";
import { MemoryState } from "../../features/memory-store.ts";
import { readChampion } from "../../features/models/champion.ts";
import { FeatureReader } from "../../features/reader.ts";
import { FeatureKeys } from "../../features/redis/feature-keys.ts";
import { readEntities } from "../../features/redis/read-entities.ts";
import { RedisFeatureReads } from "../../features/redis/redis-reads.ts";
import { RedisFeatureStore } from "../../features/redis/redis-store.ts";
import { type IdColumn, SLOTS } from "../../features/registry.ts";
import type { FeatureStore } from "../../features/store.ts";
import { type Figure, figure, quantile, writeReport } from "./bench-report.ts";
import { DEMO_SEED, prepareDemoSpace } from "./demo-space.ts";

/*
 * Feature hydration of one request: 500 posts, their authors and both pairs with each become the heavy ranker's matrix. From
 * Redis with nothing at hand ("cold"), against the bare reads of the same keys in one round; from copies that are fresh;
 * from LMDB; and from the whole state in memory, which is what making the matrix takes by itself. All take turns, in blocks of viewers. Servers are started here and keep nothing on disk.
 */
const POSTS = 500;
/** Candidates are of the newest so many, half of them by authors that the viewer has met. */
const RECENT = 20_000;
/** Calls of one kind in a row. */
const BLOCK = 20;
/** The first is for warming up. */
const PASSES = 4;
const PUTS = 4_000;
const SAMPLED = 500;

const USAGE = "usage: roost bench features [--viewers N (100)] [--data-dir DIR (.roost)] [--json]";

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    viewers: { type: "string", default: "100" },
    "data-dir": { type: "string", default: process.env.ROOST_DATA_DIR ?? ".roost" },
  },
});

/** One viewer's request. */
interface Case {
  readonly userId: string;
  readonly nowMs: number;
  readonly surface: string;
  readonly postIds: readonly string[];
  /** By post. */
  readonly authorOf: readonly string[];
  readonly authorIds: readonly string[];
}

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const space = join(flags["data-dir"], "bench-features");
  await prepareDemoSpace(space);
  const { manifest } = await readChampion(join(space, "models", "heavy"));
  const { state, cases } = await world(space);
  const dir = mkdtempSync(join(tmpdir(), "roost-bench-features-"));
  const server = await startRedis();
  const cluster = await startRedisCluster();
  const root = open({ path: dir, maxDbs: 32, noSync: true });
  try {
    const single = await connectRedis(parseRedisUrl(server.url));
    const many = await connectRedis(parseRedisUrl(cluster.url));
    const lmdb = await LmdbFeatureStore.open(root);
    const writes = await fill(single, state);
    await fill(many, state);
    await lmdb.replaceAll(1, state.entries());
    const uncached = await LmdbFeatureStore.open(root, 2);
    const measured = await measure(cases, manifest, state, single, many, lmdb, uncached);
    const figures = [...measured.figures, ...(await memory(single, state)), writes];
    writeReport("features", { seed: DEMO_SEED, rounds: measured.rounds, figures }, flags.json);
    await single.close();
    await many.close();
  } finally {
    await root.close();
    await cluster.stop();
    await server.stop();
    rmSync(dir, { recursive: true });
  }
}

/** The state at the end of the data set, and requests of viewers at that moment. */
async function world(space: string): Promise<{ state: MemoryState; cases: Case[] }> {
  const state = new MemoryState();
  const posts: { id: string; author: string }[] = [];
  const viewers = new Set<string>();
  let nowMs = 0;
  for await (const batch of readDataset(space))
    for (const event of batch) {
      applyEvent(state, event);
      nowMs = event.time_ms;
      if (event.type === "post_created") posts.push({ id: event.post_id, author: event.author_id });
      else if (event.type === "impression") viewers.add(event.user_id);
    }
  const recent = posts.slice(-RECENT);
  const rnd = random(DEMO_SEED, "bench features");
  const cases = [...viewers].slice(0, Number(flags.viewers)).map((userId): Case => {
    const met = recent.filter(
      ({ author }) => state.get("user_author", `${userId}|${author}`) !== undefined,
    );
    const chosen = new Map<string, string>();
    const take = (from: typeof recent, upTo: number): void => {
      for (let tries = 0; chosen.size < upTo && tries < 20 * POSTS && from.length > 0; tries++) {
        const { id, author } = from[rnd.below(from.length)] as (typeof recent)[0];
        chosen.set(id, author);
      }
    };
    take(met, POSTS / 2);
    take(recent, POSTS);
    const authorOf = [...chosen.values()];
    return {
      userId,
      nowMs,
      surface: "home",
      postIds: [...chosen.keys()],
      authorOf,
      authorIds: [...new Set(authorOf)],
    };
  });
  return { state, cases };
}

/** Writes the state through the store. */
async function fill(connection: RedisConnection, state: MemoryState): Promise<Figure> {
  const store: FeatureStore = await RedisFeatureStore.open({
    connection,
    token: 1,
    now: Date.now,
    cacheEntries: 1,
  });
  const entries = [...state.entries()];
  const startedAt = performance.now();
  for (let from = 0; from < entries.length; from += PUTS)
    await store.transaction(store.position + 1, (editor) => {
      for (const [entity, key, vector] of entries.slice(from, from + PUTS))
        editor.edit(entity, key).set(vector);
    });
  const perS = entries.length / ((performance.now() - startedAt) / 1000);
  return figure("redis_vectors_written_per_s", perS, "vectors/s");
}

interface Prepared {
  readonly request: Case;
  readonly names: readonly string[];
  readonly groups: readonly (readonly [Redis, readonly string[]])[];
  readonly expected: Float32Array;
}

const VARIANTS = [
  "redis_cold",
  "raw_mget",
  "raw_pipeline",
  "cluster_cold",
  "raw_cluster",
  "cached",
  "memory",
  "lmdb",
  "lmdb_uncached",
] as const;
type Variant = (typeof VARIANTS)[number];

async function measure(
  cases: readonly Case[],
  model: BundleManifest,
  state: MemoryState,
  single: RedisConnection,
  many: RedisConnection,
  lmdb: LmdbFeatureStore,
  uncached: LmdbFeatureStore,
) {
  // Each request is later than any copy is fresh, so that all is fetched.
  let clock = 0;
  const later = (): number => {
    clock += 1_000_000;
    return clock;
  };
  const ids = model.ids.map(({ name }) => name as IdColumn);
  const entities = readEntities(model.features, ids);
  const options = { timeoutMs: 5_000, entities };
  const coldSingle = new RedisFeatureReads(single, later, options);
  const coldMany = new RedisFeatureReads(many, later, options);
  const cached = new RedisFeatureReads(single, () => 0, { ...options, cacheBytes: 64_000_000 });
  const reader = new FeatureReader(model.features, ids);
  const rows = (view: StateView, request: Case): Float32Array => {
    const matrix = new Float32Array(POSTS * model.features.length);
    const hashes = new Uint32Array(POSTS * ids.length);
    reader.begin(view, request);
    for (let row = 0; row < request.postIds.length; row++)
      reader.row(request.postIds[row] as string, request.authorOf[row], matrix, hashes, row);
    return matrix;
  };
  const keys = new FeatureKeys(single.target.prefix);
  const times = Object.fromEntries(VARIANTS.map((name) => [name, [] as number[]])) as Record<
    Variant,
    number[]
  >;
  let keysRead = 0;
  let bytesRead = 0;
  const prepared: Prepared[] = [];
  for (const request of cases) {
    const loaded = await cached.load(request);
    if (loaded.degraded) throw new Error("Redis did not answer");
    const names: string[] = [];
    for (const entity of ENTITIES)
      for (const key of loaded.keys(entity)) names.push(keys.of(entity, key));
    const groups = grouped(many.client as Cluster, names);
    prepared.push({ request, names, groups, expected: rows(loaded, request) });
    keysRead += names.length;
    for (const value of await single.client.mgetBuffer(names as string[]))
      bytesRead += value?.length ?? 0;
  }
  const calls: Record<Variant, (on: Prepared) => Promise<Float32Array | undefined>> = {
    redis_cold: async ({ request }) => rows(await coldSingle.load(request), request),
    raw_mget: async ({ names }) => void (await single.client.mgetBuffer(names as string[])),
    raw_pipeline: ({ names }) => pipelined([[single.client as Redis, names]]),
    cluster_cold: async ({ request }) => rows(await coldMany.load(request), request),
    raw_cluster: ({ groups }) => pipelined(groups),
    cached: async ({ request }) => rows(await cached.load(request), request),
    memory: async ({ request }) => rows(state, request),
    lmdb: async ({ request }) => rows(lmdb, request),
    lmdb_uncached: async ({ request }) => rows(uncached, request),
  };
  for (let pass = 0; pass < PASSES; pass++)
    for (let from = 0, turn = 0; from < prepared.length; from += BLOCK, turn++)
      for (let v = 0; v < VARIANTS.length; v++) {
        // Another one begins each turn; in blocks, so that none empties the others' caches at each call.
        const name = VARIANTS[(v + turn) % VARIANTS.length] as Variant;
        for (const on of prepared.slice(from, from + BLOCK)) {
          const at = performance.now();
          const matrix = await calls[name](on);
          const took = performance.now() - at;
          if (pass > 0) times[name].push(took);
          if (matrix !== undefined && !sameBits(matrix, on.expected))
            throw new Error(`${name} gives other features`);
        }
      }
  const p = (name: Variant, q: number): number => quantile(times[name], q);
  const ratio = (name: string, of: Variant, floor: Variant): Figure => {
    const value = p(of, 0.5) / p(floor, 0.5);
    return { ...figure(name, value, ""), asked: "≤ 1.5", ok: value <= 1.5 };
  };
  const cachedP50 = p("cached", 0.5);
  const asked = { asked: "≤ 1", ok: cachedP50 <= 1 };
  return {
    rounds: times,
    figures: [
      ratio("redis_cold_ratio", "redis_cold", "raw_pipeline"),
      figure("redis_cold_ratio_mget", p("redis_cold", 0.5) / p("raw_mget", 0.5), ""),
      ratio("cluster_cold_ratio", "cluster_cold", "raw_cluster"),
      ...VARIANTS.flatMap((name) => [
        { ...figure(`${name}_p50_ms`, p(name, 0.5), "ms"), ...(name === "cached" ? asked : {}) },
        figure(`${name}_p99_ms`, p(name, 0.99), "ms"),
      ]),
      figure("keys_per_request", keysRead / cases.length, "keys"),
      figure("bytes_per_request", bytesRead / cases.length, "B"),
      figure("features", model.features.length, "columns"),
    ],
  };
}

/** Keys by the node that serves them: found before the clock runs. */
function grouped(cluster: Cluster, names: readonly string[]): [Redis, string[]][] {
  const nodes = new Map(
    cluster.nodes("master").map((node) => [`${node.options.host}:${node.options.port}`, node]),
  );
  const groups = new Map<Redis, string[]>();
  for (const name of names) {
    const node = nodes.get(cluster.slots[keySlot(name)]?.[0] as string) as Redis;
    const group = groups.get(node);
    if (group === undefined) groups.set(node, [name]);
    else group.push(name);
  }
  return [...groups];
}

async function pipelined(groups: Prepared["groups"]): Promise<undefined> {
  await Promise.all(
    groups.map(([node, names]) => {
      const pipeline = node.pipeline();
      for (const name of names) pipeline.getBuffer(name);
      return pipeline.exec();
    }),
  );
}

/** Bytes that Redis uses for a vector of each entity, key and header included, and what its numbers alone would take. */
async function memory({ client, target }: RedisConnection, state: MemoryState): Promise<Figure[]> {
  const names = new FeatureKeys(target.prefix);
  const keys = new Map<Entity, string[]>(ENTITIES.map((entity) => [entity, []]));
  for (const [entity, key] of state.entries()) keys.get(entity)?.push(names.of(entity, key));
  const figures: Figure[] = [];
  for (const [entity, all] of keys) {
    if (all.length === 0) continue;
    const step = Math.max(1, Math.floor(all.length / SAMPLED));
    let bytes = 0;
    let n = 0;
    for (let i = 0; i < all.length; i += step, n++)
      bytes += Number(await client.call("MEMORY", "USAGE", all[i] as string));
    figures.push(figure(`bytes_per_${entity}`, bytes / n, `B (${8 * SLOTS[entity]} B of numbers)`));
  }
  return figures;
}

const sameBits = (a: Float32Array, b: Float32Array): boolean =>
  Buffer.from(a.buffer).equals(Buffer.from(b.buffer));

await main();
