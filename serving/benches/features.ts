import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Cluster, Redis } from "ioredis";
import { open } from "lmdb";
import { startRedis, startRedisCluster } from "../../datasets/storage/own-redis.ts";
import { connectRedis, parseRedisUrl, type RedisConnection } from "../../datasets/storage/redis.ts";
import { RoostError } from "../../errors.ts";
import { ENTITIES, type VectorHolder } from "../../features/entities.ts";
import { LmdbFeatureStore } from "../../features/lmdb-store.ts";
import type { MemoryState } from "../../features/memory-store.ts";
import { readChampion } from "../../features/models/champion.ts";
import { FeatureKeys } from "../../features/redis/feature-keys.ts";
import { readEntities } from "../../features/redis/read-entities.ts";
import { type FeatureLoad, RedisFeatureReads } from "../../features/redis/redis-reads.ts";
import { RedisFeatureStore } from "../../features/redis/redis-store.ts";
import { FAMILY_OF, type IdColumn } from "../../features/registry.ts";
import type { FeatureStore } from "../../features/store.ts";
import { type Figure, figure, quantile, writeReport } from "./bench-report.ts";
import { DEMO_SEED, prepareDemoSpace, runProgram } from "./demo-space.ts";
import { type Case, type Columns, checksum, rowsOf, world } from "./features-requests.ts";
import { grouped, memory, pipelined } from "./redis-floors.ts";

/*
 * Feature hydration of one request: 500 posts, their authors and both pairs with each become the heavy ranker's matrix, the
 * columns of posts, authors and pairs, and with "all" every column, which looks at topics, media and the viewer's follows too.
 * From Redis with nothing at hand ("cold") and with copies that are too old ("refetch"), against the bare reads of the same
 * keys in one round; from copies that are fresh, with what an earlier request of the same moment made of posts and authors
 * alone ("cached") and without ("cached_unkept"); from LMDB; and from a state in memory, which is what making the matrix takes
 * by itself. All take turns, in blocks of viewers. The servers are started here and keep nothing on disk.
 */
/** Calls of one kind in a row. */
const BLOCK = 20;
/** The first is for warming up. */
const PASSES = 4;
const PUTS = 4_000;
/** Families of posts, authors and pairs. */
const NAMED: ReadonlySet<string> = new Set([
  "post_content",
  "post_engagement",
  "author_profile",
  "author_engagement",
  "user_author",
]);

/** What the names of ways end with that make every column. */
const ALL = "_all";

const USAGE = "usage: roost bench features [--viewers N (100)] [--data-dir DIR (.roost)] [--json]";

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    viewers: { type: "string", default: "100" },
    measure: { type: "string" },
    "data-dir": { type: "string", default: process.env.ROOST_DATA_DIR ?? ".roost" },
  },
});

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  if (flags.measure !== undefined) {
    const task = JSON.parse(readFileSync(flags.measure, "utf8")) as Task;
    writeFileSync(flags.measure, JSON.stringify(await measureRedis(task)));
    // Left to end by itself it sometimes never did, waiting for a compilation that waits for it: nodejs/node issue 54918.
    process.exit();
  }
  const space = join(flags["data-dir"], "bench-features");
  await prepareDemoSpace(space);
  const { manifest } = await readChampion(join(space, "models", "heavy"));
  const { state, cases } = await world(space, Number(flags.viewers));
  const dir = mkdtempSync(join(tmpdir(), "roost-bench-features-"));
  const server = await startRedis();
  const cluster = await startRedisCluster();
  const root = open({ path: join(dir, "lmdb"), maxDbs: 32, noSync: true });
  try {
    const single = await connectRedis(parseRedisUrl(server.url));
    const many = await connectRedis(parseRedisUrl(cluster.url));
    const writes = await fill(single, state);
    await fill(many, state);
    await many.close();
    const model = {
      features: manifest.features,
      ids: manifest.ids.map(({ name }) => name as IdColumn),
    };
    const lmdb = await LmdbFeatureStore.open(root);
    await lmdb.replaceAll(1, state.entries());
    const uncached = await LmdbFeatureStore.open(root, 2);
    const here = await measureHere(cases, model, state, lmdb, uncached);
    // Where the whole world is not in memory: its collection would fall on whoever allocates.
    const { checksums, named } = here;
    const urls = [server.url, cluster.url] as const;
    const task: Task = { ...model, checksums, named, cases, urls };
    const file = join(dir, "task.json");
    writeFileSync(file, JSON.stringify(task));
    runProgram(fileURLToPath(import.meta.url), ["--measure", file], "bench features --measure");
    const there = JSON.parse(readFileSync(file, "utf8")) as Awaited<
      ReturnType<typeof measureRedis>
    >;
    const figures = [...report({ ...here.times, ...there.times }), ...there.sizes];
    figures.push(figure("features", here.named.features.length, "columns"));
    figures.push(figure("features_all", model.features.length, "columns"));
    figures.push(...(await memory(single, state)), writes);
    const rounds = { ...there.times, ...here.times };
    writeReport("features", { seed: DEMO_SEED, rounds, figures }, flags.json);
    await single.close();
  } finally {
    await root.close();
    await cluster.stop();
    await server.stop();
    rmSync(dir, { recursive: true });
  }
}

/** What the measuring process is told. */
interface Task extends Columns {
  readonly urls: readonly [string, string];
  readonly cases: readonly Case[];
  /** Of the matrix of each case, from the state in memory. */
  readonly checksums: readonly string[];
  /** Columns of posts, authors and pairs alone, with checksums likewise. */
  readonly named: Columns & { readonly checksums: readonly string[] };
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

type Times = Readonly<Record<string, readonly number[]>>;
/** Prepares the call for a request; what it gives is timed. */
type Call = (i: number) => () => Promise<Float32Array | undefined>;

async function measureHere(
  cases: readonly Case[],
  model: Columns,
  state: MemoryState,
  lmdb: LmdbFeatureStore,
  uncached: LmdbFeatureStore,
): Promise<{ times: Times } & Pick<Task, "checksums" | "named">> {
  const checksumsOf = (columns: Columns): string[] => {
    const rows = rowsOf(columns);
    return cases.map((request) => checksum(rows(state, request)));
  };
  const checksums = checksumsOf(model);
  const features = model.features.filter((name) => NAMED.has(FAMILY_OF.get(name)?.name ?? ""));
  const named = { features, ids: [], checksums: checksumsOf({ features, ids: [] }) };
  const calls: Record<string, Call> = {};
  for (const [columns, suffix] of [
    [named, ""],
    [model, ALL],
  ] as const) {
    const rows = rowsOf(columns);
    for (const [name, view] of Object.entries({ lmdb, memory: state, lmdb_uncached: uncached }))
      calls[`${name}${suffix}`] = (i) => async () => rows(view, cases[i] as Case);
  }
  const times = await alternate(calls, cases.length, (name) =>
    name.endsWith(ALL) ? checksums : named.checksums,
  );
  return { times, checksums, named };
}

async function measureRedis(task: Task) {
  const single = await connectRedis(parseRedisUrl(task.urls[0]));
  const many = await connectRedis(parseRedisUrl(task.urls[1]));
  const cases = sharingIds(task.cases);
  const named = await redisCalls(single, many, cases, task.named);
  const all = await redisCalls(single, many, cases, task);
  const calls = {
    ...named.calls,
    ...Object.fromEntries(Object.entries(all.calls).map(([name, call]) => [`${name}${ALL}`, call])),
  };
  const times = await alternate(calls, cases.length, (name) =>
    name.endsWith(ALL) ? task.checksums : task.named.checksums,
  );
  await single.close();
  await many.close();
  return {
    times,
    sizes: [
      figure("keys_per_request", named.keys, "keys"),
      figure("keys_per_request_all", all.keys, "keys"),
      figure("bytes_per_request", named.bytes, "B"),
      figure("bytes_per_request_all", all.bytes, "B"),
    ],
  };
}

/** Ids are the same strings in every request, as those of a server's post store are. */
function sharingIds(cases: readonly Case[]): Case[] {
  const known = new Map<string, string>();
  const shared = (ids: readonly string[]): string[] =>
    ids.map((id) => {
      const first = known.get(id);
      if (first === undefined) known.set(id, id);
      return first ?? id;
    });
  return cases.map((request) => ({
    ...request,
    postIds: shared(request.postIds),
    authorOf: shared(request.authorOf),
    authorIds: shared(request.authorIds),
  }));
}

/** The same with posts in hand, the same objects in every request likewise. */
function withPosts(cases: readonly Case[]): (Case & Required<Pick<FeatureLoad, "inHand">>)[] {
  const posts = new Map<string, VectorHolder>();
  const postOf = (id: string): VectorHolder => {
    const post = posts.get(id) ?? { vectorCell: undefined };
    posts.set(id, post);
    return post;
  };
  return cases.map((request) => ({ ...request, inHand: request.postIds.map(postOf) }));
}

/** Ways to make the matrix of these columns, and the bare reads of what that looks at; keys and bytes in the mean of requests. */
async function redisCalls(
  single: RedisConnection,
  many: RedisConnection,
  cases: readonly Case[],
  columns: Columns,
): Promise<{ calls: Record<string, Call>; keys: number; bytes: number }> {
  // Each request is later than any copy is fresh: all is fetched, but what hangs on what is known from the copies.
  let clock = 0;
  const later = (): number => {
    clock += 1_000_000;
    return clock;
  };
  const options = { timeoutMs: 5_000, entities: readEntities(columns.features, columns.ids) };
  const agedSingle = new RedisFeatureReads(single, later, options);
  const agedMany = new RedisFeatureReads(many, later, options);
  // Made anew for each request, so large as one needs.
  const small = { ...options, cacheBytes: 1_000_000 };
  const cached = new RedisFeatureReads(single, () => 0, { ...options, cacheBytes: 64_000_000 });
  const rows = rowsOf(columns);
  const keys = new FeatureKeys(single.target.prefix);
  const names: string[][] = [];
  let bytes = 0;
  for (const request of cases) {
    const loaded = await cached.load(request);
    if (loaded.degraded) throw new RoostError("REDIS_UNAVAILABLE", "no answer in time");
    const own: string[] = [];
    for (const entity of ENTITIES)
      for (const key of loaded.keys(entity)) own.push(keys.of(entity, key));
    names.push(own);
    for (const value of await single.client.mgetBuffer(own)) bytes += value?.length ?? 0;
  }
  const groups = names.map((own) => grouped(many.client as Cluster, own));
  const from = (reads: () => RedisFeatureReads, keeps = true): Call => {
    // Posts remember what one server has read.
    const loads = withPosts(cases).map(({ nowMs, ...load }) => ({
      ...load,
      ...(keeps && { nowMs }),
    }));
    return (i) => {
      const taken = reads();
      return async () => rows(await taken.load(loads[i] as FeatureLoad), cases[i] as Case);
    };
  };
  const loads = withPosts(cases);
  const calls: Record<string, Call> = {
    redis_cold: from(() => new RedisFeatureReads(single, Date.now, small)),
    redis_refetch: from(() => agedSingle),
    raw_mget: (i) => async () => void (await single.client.mgetBuffer(names[i] as string[])),
    raw_pipeline: (i) => () => pipelined([[single.client as Redis, names[i] as string[]]]),
    cluster_cold: from(() => new RedisFeatureReads(many, Date.now, small)),
    cluster_refetch: from(() => agedMany),
    raw_cluster: (i) => () => pipelined(groups[i] as [Redis, string[]][]),
    cached: from(() => cached),
    cached_unkept: from(() => cached, false),
    cached_load: (i) => async () => void (await cached.load(loads[i] as FeatureLoad)),
  };
  return { calls, keys: names.flat().length / cases.length, bytes: bytes / cases.length };
}

/** Times of each call, in ms. @throws RoostError when a matrix is not the one that the state in memory gives */
async function alternate(
  calls: Readonly<Record<string, Call>>,
  requests: number,
  checksumsOf: (name: string) => readonly string[],
): Promise<Times> {
  const entries = Object.entries(calls);
  const times: Record<string, number[]> = {};
  for (const [name] of entries) times[name] = [];
  for (let pass = 0; pass < PASSES; pass++)
    for (let from = 0, turn = 0; from < requests; from += BLOCK, turn++)
      for (let v = 0; v < entries.length; v++) {
        // Another one begins each turn; in blocks, so that none empties the others' caches at each call.
        const [name, call] = entries[(v + turn) % entries.length] as [string, Call];
        const checksums = checksumsOf(name);
        for (let i = from; i < Math.min(requests, from + BLOCK); i++) {
          const run = call(i);
          const at = performance.now();
          const matrix = await run();
          const took = performance.now() - at;
          if (pass > 0) times[name]?.push(took);
          else if (matrix !== undefined && checksum(matrix) !== checksums[i])
            throw new RoostError("INTERNAL", `${name} gives other features`);
        }
      }
  return times;
}

function report(times: Times): Figure[] {
  const p = (name: string, q: number): number => quantile(times[name] as number[], q);
  const ratio = (name: string, of: string, floor: string): Figure => {
    const value = p(of, 0.5) / p(floor, 0.5);
    return { ...figure(name, value, ""), asked: "≤ 1.5", ok: value <= 1.5 };
  };
  const cached = p("cached", 0.5);
  const asked = { asked: "≤ 1", ok: cached <= 1 };
  return [
    ratio("redis_cold_ratio", "redis_cold", "raw_pipeline"),
    figure("redis_cold_ratio_mget", p("redis_cold", 0.5) / p("raw_mget", 0.5), ""),
    ratio("cluster_cold_ratio", "cluster_cold", "raw_cluster"),
    ...["redis", "cluster"].flatMap((kind) =>
      ["refetch", `cold${ALL}`, `refetch${ALL}`].map((way) => {
        const floor = kind === "redis" ? "raw_pipeline" : "raw_cluster";
        const all = way.endsWith(ALL) ? ALL : "";
        return figure(
          `${kind}_${way}_ratio`,
          p(`${kind}_${way}`, 0.5) / p(`${floor}${all}`, 0.5),
          "",
        );
      }),
    ),
    ...Object.keys(times).flatMap((name) => [
      { ...figure(`${name}_p50_ms`, p(name, 0.5), "ms"), ...(name === "cached" ? asked : {}) },
      figure(`${name}_p99_ms`, p(name, 0.99), "ms"),
    ]),
  ];
}

await main();
