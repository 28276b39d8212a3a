import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { HnswIndex } from "../../candidates/vector-index/hnsw-index.ts";
import { vectorsFile } from "../../candidates/vector-index/index-files.ts";
import { Nearest } from "../../candidates/vector-index/nearest.ts";
import { loadIndex } from "../../candidates/vector-index/open-index.ts";
import { readDataset, readManifest } from "../../datasets/dataset.ts";
import { RoostError } from "../../errors.ts";
import { applyEvent } from "../../features/engine.ts";
import { MemoryState } from "../../features/memory-store.ts";
import { readChampion } from "../../features/models/champion.ts";
import { TWO_TOWER, towersOf } from "../../features/tower-bundle.ts";
import { POST_TOWER, USER_TOWER } from "../../features/tower-inputs.ts";
import { TowerReader } from "../../features/tower-reader.ts";
import { TowerRows } from "../../features/tower-rows.ts";
import { TowerSession } from "../inference/tower-session.ts";
import { figure, quantile, writeReport } from "./bench-report.ts";

/*
 * The HNSW index over vectors of the trained post tower, asked by vectors of the user tower. Posts are those of the data
 * set, whatever their age; where it has fewer than asked for, the same posts stand in again as they were at other ages.
 * The towers are the demo's, also where the posts are those of `large`: what they read means the same in every world.
 * Worlds, vectors and the index are made once and kept in `<data-dir>/bench-ann`, found again by the checksum of the vectors.
 */
const K = 500;
const QUERIES = 400;
const JUDGED = 100;
const ADDED = 4_000;
const ADDS_PER_S = 500;
const STEP_MS = 20;
const DELETED = 1_000;
const ADD_BATCH = 64;
const HOUR_MS = 3_600_000;
const CANDIDATES_PER_RESULT = 1.6;

const USAGE =
  "usage: roost bench ann [--preset demo|large] [--data DIR] [--models DIR] [--posts N (100000; of large 1000000)] [--seconds N (20)] [--data-dir DIR (.roost)] [--json]";

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    preset: { type: "string", default: "demo" },
    data: { type: "string" },
    models: { type: "string" },
    posts: { type: "string" },
    seconds: { type: "string", default: "20" },
    "data-dir": { type: "string", default: process.env.ROOST_DATA_DIR ?? ".roost" },
  },
});
const POSTS = Number(flags.posts ?? (flags.preset === "large" ? 1_000_000 : 100_000));
const ROOST = fileURLToPath(new URL(`../../roost${import.meta.url.slice(-3)}`, import.meta.url));

interface Vectors {
  readonly dimension: number;
  /** [posts, dimension]; the last ADDED are held back for adding. */
  readonly posts: Float32Array;
  readonly users: Float32Array;
}

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const space = join(flags["data-dir"], "bench-ann");
  await mkdir(space, { recursive: true });
  const data = flags.data ?? simulated(flags.preset, space);
  const models = flags.models ?? (flags.data ? join(data, "models") : trained(space));
  const vectors = await towerVectors(data, models, space);
  const n = vectors.posts.length / vectors.dimension - ADDED;
  const dir = join(space, `index-${n}`);
  const checksum = createHash("sha256").update(vectors.posts).digest("hex");
  let buildS = 0;
  let index = await loadIndex(dir, { vectors: checksum }).catch(() => undefined);
  if (index === undefined) {
    const startedAt = performance.now();
    index = await build(vectors, n);
    buildS = (performance.now() - startedAt) / 1000;
    await index.save(dir, { vectors: checksum });
  }
  await index.close();
  const measured = await measure(vectors, n, dir, buildS);
  writeReport("ann", { vectors: { data, checksum, posts: n }, ...measured }, flags.json);
}

/** A world of the preset, made once. */
function simulated(preset: string, space: string): string {
  const dir = join(space, preset);
  if (!existsSync(join(dir, "dataset.json")))
    roost(["simulate", "--preset", preset, "--seed", "1", "--out", dir]);
  return dir;
}

/** The demo's towers, trained once. */
function trained(space: string): string {
  const data = simulated("demo", space);
  const models = join(data, "models");
  if (!existsSync(join(models, TWO_TOWER)))
    roost(["train", "--data", data, "--rankers", "two_tower", "--metric-rounds", "0"]);
  return models;
}

function roost(args: readonly string[]): void {
  const { status } = spawnSync(process.execPath, [...process.execArgv, ROOST, ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0)
    throw new RoostError("BAD_DATASET", `roost ${args[0]} failed for the benchmark`);
}

/** Vectors of posts and viewers at the end of the data set, the day that is held out from learning included. */
async function towerVectors(data: string, models: string, space: string): Promise<Vectors> {
  const wanted = POSTS + ADDED;
  const bundle = await readChampion(join(models, TWO_TOWER));
  const towers = towersOf(bundle);
  const manifest = readManifest(data);
  const dimension = bundle.manifest.heads.length;
  // "whole": with the posts of the last day, which earlier files of this name lack.
  const name = `${manifest.checksum.slice(0, 12)}-${bundle.manifest.version}-${wanted}-whole`;
  const [postFile, userFile] = [join(space, `${name}.posts`), join(space, `${name}.users`)];
  if (existsSync(postFile) && existsSync(userFile))
    return {
      dimension,
      posts: floats(await readFile(postFile)),
      users: floats(await readFile(userFile)),
    };

  const state = new MemoryState();
  const created: { id: string; author: string }[] = [];
  const viewers = new Set<string>();
  let nowMs = 0;
  for await (const batch of readDataset(data, { heldOut: true }))
    for (const event of batch) {
      applyEvent(state, event);
      nowMs = event.time_ms;
      if (event.type === "post_created")
        created.push({ id: event.post_id, author: event.author_id });
      else if (event.type === "impression" && viewers.size < QUERIES) viewers.add(event.user_id);
    }
  const reader = new TowerReader();
  const post = await TowerSession.start(towers.post, { threadsPerRun: 2 });
  const posts = new Float32Array(wanted * dimension);
  const rows = new TowerRows(POST_TOWER, 4096);
  for (let from = 0; from < wanted; from += 4096) {
    rows.clear();
    for (let i = from; i < Math.min(wanted, from + 4096); i++) {
      // Newest first; each further round sees the posts five hours older.
      const { id, author } = created[
        created.length - 1 - (i % created.length)
      ] as (typeof created)[0];
      reader.begin(state, nowMs + 5 * HOUR_MS * Math.floor(i / created.length));
      reader.post(state, id, author, rows);
    }
    posts.set(await post.run(rows), from * dimension);
  }
  await post.close();
  const user = await TowerSession.start(towers.user, { threadsPerRun: 2 });
  const userRows = new TowerRows(USER_TOWER, QUERIES);
  for (const id of viewers) reader.user(state, id, nowMs, userRows);
  const users = await user.run(userRows);
  await user.close();
  await writeFile(postFile, bytes(posts));
  await writeFile(userFile, bytes(users));
  return { dimension, posts, users };
}

async function build({ dimension, posts }: Vectors, n: number): Promise<HnswIndex> {
  const index = await HnswIndex.open(dimension, { candidatesPerResult: CANDIDATES_PER_RESULT });
  for (let from = 0; from < n; from += 1000) {
    const to = Math.min(n, from + 1000);
    await index.add(ids(from, to), posts.subarray(from * dimension, to * dimension));
  }
  return index;
}

async function measure(vectors: Vectors, n: number, dir: string, buildS: number) {
  const { dimension: d, posts, users } = vectors;
  const query = (i: number): Float32Array => {
    const row = i % (users.length / d);
    return users.subarray(row * d, (row + 1) * d);
  };
  const startedAt = performance.now();
  const index = await HnswIndex.load(dir, { candidatesPerResult: CANDIDATES_PER_RESULT });
  const restartS = (performance.now() - startedAt) / 1000;
  try {
    const recalls: number[] = [];
    for (let q = 0; q < JUDGED; q++) {
      const exact = exactNearest(posts, n, d, query(q));
      const { ids: found } = await index.search(query(q), K);
      recalls.push(found.filter((id) => exact.has(id)).length / exact.size);
    }
    const { ours, raw } = await againstRaw(index, dir, d, query);
    const during = await whileAdding(index, vectors, n, query);

    const addStarted = performance.now();
    const half = ADDED / 2;
    for (let from = half; from < ADDED; from += ADD_BATCH) {
      const to = Math.min(ADDED, from + ADD_BATCH);
      await index.add(ids(n + from, n + to), posts.subarray((n + from) * d, (n + to) * d));
    }
    const addsPerS = half / ((performance.now() - addStarted) / 1000);
    const deletes: number[] = [];
    for (let i = 0; i < DELETED; i++) {
      const at = performance.now();
      await index.remove([String(1 + ((i * 7919) % n))]);
      deletes.push(performance.now() - at);
    }
    const recall = recalls.reduce((a, b) => a + b, 0) / recalls.length;
    const ratio = quantile(ours, 0.5) / quantile(raw, 0.5);
    return {
      rounds: { search_ms: ours, raw_ms: raw, search_while_adding_ms: during },
      figures: [
        { ...figure("recall_at_500", recall, "share"), asked: "≥ .98", ok: recall >= 0.98 },
        figure("search_p50_ms", quantile(ours, 0.5), "ms"),
        figure("raw_search_p50_ms", quantile(raw, 0.5), "ms"),
        { ...figure("search_p50_ratio", ratio, ""), asked: "≤ 1.3", ok: ratio <= 1.3 },
        figure("search_p99_ms", quantile(during, 0.99), "ms"),
        figure("search_while_adding_p50_ms", quantile(during, 0.5), "ms"),
        figure("adds_per_s", addsPerS, "posts/s"),
        figure("delete_p99_ms", quantile(deletes, 0.99), "ms"),
        figure("restart_s", restartS, "s"),
        figure("bytes_per_post", statSync(vectorsFile(dir)).size / n, "B"),
        ...(buildS > 0 ? [figure("build_s", buildS, "s")] : []),
        figure("posts", n, "posts"),
      ],
    };
  } finally {
    await index.close();
  }
}

/** The same searches through the index and its worker, and by hnswlib on this thread, alternated. */
async function againstRaw(
  index: HnswIndex,
  dir: string,
  d: number,
  query: (i: number) => Float32Array,
): Promise<{ ours: number[]; raw: number[] }> {
  const { HierarchicalNSW } = (await import("hnswlib-node")).default;
  const graph = new HierarchicalNSW("ip", d);
  graph.readIndexSync(vectorsFile(dir), true);
  graph.setEf(Math.ceil(CANDIDATES_PER_RESULT * K));
  const ours: number[] = [];
  const raw: number[] = [];
  for (let i = -20; i < QUERIES; i++) {
    const asked = query(i + 20);
    const single = Array.from(asked);
    const measureOurs = async (): Promise<number> => {
      const at = performance.now();
      await index.search(asked, K);
      return performance.now() - at;
    };
    const measureRaw = (): number => {
      const at = performance.now();
      graph.searchKnn(single, K);
      return performance.now() - at;
    };
    const first = i % 2 === 0 ? await measureOurs() : measureRaw();
    const second = i % 2 === 0 ? measureRaw() : await measureOurs();
    if (i < 0) continue;
    ours.push(i % 2 === 0 ? first : second);
    raw.push(i % 2 === 0 ? second : first);
  }
  return { ours, raw };
}

/** Latencies of searches, one every few milliseconds, while 500 posts a second are added and as many taken out again. */
async function whileAdding(
  index: HnswIndex,
  { posts, dimension: d }: Vectors,
  n: number,
  query: (i: number) => Float32Array,
): Promise<number[]> {
  const untilMs = performance.now() + 1000 * Number(flags.seconds);
  const perStep = (ADDS_PER_S * STEP_MS) / 1000;
  const half = ADDED / 2;
  let added = 0;
  const adding = (async () => {
    const startedMs = performance.now();
    for (let step = 1; performance.now() < untilMs; step++) {
      const from = added % half;
      const batch = ids(n + from, n + from + perStep);
      const vectors = posts.subarray((n + from) * d, (n + from + perStep) * d);
      await index.add(batch, vectors);
      added += perStep;
      await delay(Math.max(0, startedMs + step * STEP_MS - performance.now()));
    }
  })();
  const latencies: number[] = [];
  for (let i = 0; performance.now() < untilMs; i++) {
    const at = performance.now();
    await index.search(query(i), K);
    latencies.push(performance.now() - at);
    await delay(5);
  }
  await adding;
  const rate = added / Number(flags.seconds);
  if (rate < 0.9 * ADDS_PER_S)
    process.stderr.write(`only ${rate.toFixed(0)} posts/s could be added meanwhile\n`);
  return latencies;
}

function exactNearest(posts: Float32Array, n: number, d: number, query: Float32Array): Set<string> {
  const nearest = new Nearest(K);
  for (let i = 0; i < n; i++) {
    let dot = 0;
    for (let j = 0; j < d; j++) dot += (posts[i * d + j] as number) * (query[j] as number);
    nearest.push(i, dot);
  }
  return new Set(Array.from(nearest.sorted().items, (i) => String(1 + i)));
}

/** Ids of the vectors [from, to). */
const ids = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => String(1 + from + i));

const bytes = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

function floats(from: Buffer): Float32Array {
  const values = new Float32Array(from.length / 4);
  new Uint8Array(values.buffer).set(from);
  return values;
}

await main();
