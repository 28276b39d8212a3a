import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import type { Event } from "../../datasets/events.ts";
import { random } from "../../datasets/random.ts";
import type { Interval } from "../../experiments/metrics/bootstrap.ts";
import { modelsOf, writeBundle } from "../../features/bundle.ts";
import { checkBundle } from "../../features/check-bundle.ts";
import { checkWeights } from "../../features/check-weights.ts";
import { readChampion } from "../../features/models/champion.ts";
import { readLineage, readVersion, versionDir } from "../../features/models/versions.ts";
import { Replay } from "../../features/replay.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { TWO_TOWER, towersOf } from "../../features/tower-bundle.ts";
import { POST_TOWER, type TowerInputs, USER_TOWER } from "../../features/tower-inputs.ts";
import { TowerReader } from "../../features/tower-reader.ts";
import { TowerRows } from "../../features/tower-rows.ts";
import { slotTables, towerMatrices } from "../../features/tower-table.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import { compareTowers } from "../registry/compare-towers.ts";
import { promote, rollback } from "../registry/promote.ts";
import { TowerLog } from "../tower-log.ts";
import { publishTowers } from "./publish-towers.ts";
import { towerExamples } from "./tower-examples.ts";
import { type TowerModels, towerMetrics, towerWins } from "./tower-wins.ts";
import { type TrainedTowers, trainTwoTower } from "./train-two-tower.ts";
import { TwoTowerOptions } from "./two-tower-options.ts";

const START = Date.UTC(2026, 0, 5);
const TOPICS = ["cats", "trains", "chess"];
const USERS = 60;
const OPTIONS = {
  dimension: 8,
  hidden: 16,
  embeddingWidth: 8,
  buckets: { topic: 64, language: 8, author: 128, post: 512 },
  batchSize: 64,
  passes: 8,
  inNetworkWeight: 1,
  authorDropout: 0.5,
  postIdDropout: 0.5,
  learningRate: 0.01,
  tableRate: 0.05,
} as const;

/** Everybody likes one of three topics and acts on it; authors write about one each. The last viewer is new. */
function planted(): Event[] {
  const draws = random(1, "planted");
  const events: Event[] = [];
  const posts: { id: string; author: string; topic: number; timeMs: number }[] = [];
  for (let i = 0; i < 300; i++) {
    const author = 1000 + draws.below(15);
    posts.push({
      id: String(5000 + i),
      author: String(author),
      topic: author % 3,
      timeMs: START + i,
    });
  }
  for (const { id, author, topic, timeMs } of posts)
    events.push(created(id, author, topic, timeMs));
  const act = (user: number, post: (typeof posts)[number], at: number, request: string): void => {
    const base = { user_id: String(user), post_id: post.id, author_id: post.author };
    events.push({
      type: "impression",
      time_ms: at,
      request_id: request,
      position: 1,
      in_network: false,
      ...base,
    });
    const liked = draws.next() < (post.topic === user % 3 ? 0.7 : 0.03);
    if (liked)
      events.push({
        type: "engagement",
        time_ms: at + 10,
        head: "favorite",
        request_id: request,
        ...base,
      });
    else if (post.topic === (user + 1) % 3 && draws.next() < 0.1)
      events.push({
        type: "engagement",
        time_ms: at + 10,
        head: "not_interested",
        request_id: request,
        ...base,
      });
  };
  let at = START + 1000;
  for (let page = 0; page < 400; page++) {
    const user = draws.below(USERS);
    for (let slot = 0; slot < 12; slot++) {
      at += 20;
      act(user, posts[draws.below(posts.length)]!, at, `r${page}`);
    }
  }
  // A newcomer with three engagements, of whom nothing was trained on.
  const [newcomer, favourites] = [999, posts.filter(({ topic }) => topic === 2).slice(0, 3)];
  favourites.forEach((post, i) => {
    events.push({
      type: "engagement",
      time_ms: at + 100 + i,
      head: "favorite",
      user_id: String(newcomer),
      post_id: post.id,
      author_id: post.author,
    });
  });
  // Posts that were written after the last impression: training never sees them.
  for (let author = 1000; author < 1015; author++)
    events.push(created(String(8000 + author), String(author), author % 3, at + 200));
  return events;
}

const created = (id: string, author: string, topic: number, timeMs: number): Event => ({
  type: "post_created",
  time_ms: timeMs,
  post_id: id,
  author_id: author,
  text: "",
  media: "none",
  topics: [TOPICS[topic] as string],
  safety_labels: [],
  attributes: {},
});

const HEADS = ["favorite", "not_interested"];
let rows: TrainingRows;
let log: TowerLog;
let replay: Replay;
let towers: TrainedTowers;
const endMs = START + 1_000_000;

beforeAll(async () => {
  log = new TowerLog({ lotsPerRequest: 4, seed: 1 });
  replay = new Replay({
    features: ["post.age_hours"],
    ids: [],
    heads: HEADS,
    onRow: (_, event, state) => log.row(event, state),
  });
  for (const event of planted()) {
    log.observe(event);
    replay.push(event);
  }
  replay.settle();
  rows = replay.rows();
  towers = await trainTwoTower({
    rows,
    log,
    from: 0,
    to: rows.n,
    seed: 1,
    threads: 1,
    options: OPTIONS,
  });
});

async function vectorsOf(
  model: Uint8Array,
  inputs: TowerInputs,
  read: (rows: TowerRows) => void,
): Promise<Float32Array[]> {
  const towerRows = new TowerRows(inputs);
  read(towerRows);
  const { features, ids } = towerMatrices(
    towerRows,
    slotTables(inputs, OPTIONS.buckets),
    0,
    towerRows.n,
  );
  const session = await onnxSession(model, 1);
  const { outputs } = await session.run({
    features: { data: features, shape: [towerRows.n, features.length / towerRows.n] },
    ids: { data: ids, shape: [towerRows.n, ids.length / towerRows.n] },
  });
  await session.release();
  return Array.from({ length: towerRows.n }, (_, i) =>
    (outputs as Float32Array).slice(i * OPTIONS.dimension, (i + 1) * OPTIONS.dimension),
  );
}

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);

/** Mean score of each topic's posts for a viewer. */
async function topicScores(userId: string): Promise<number[]> {
  const reader = new TowerReader();
  const [user] = await vectorsOf(towers.user, USER_TOWER, (into) => {
    reader.user(replay.state, userId, endMs, into);
  });
  const authors = Array.from({ length: 15 }, (_, i) => 1000 + i);
  const posts = await vectorsOf(towers.post, POST_TOWER, (into) => {
    reader.begin(replay.state, endMs);
    for (const author of authors)
      reader.post(replay.state, String(8000 + author), String(author), into);
  });
  return TOPICS.map((_, topic) => {
    const of = posts.filter((_, i) => (authors[i] as number) % 3 === topic);
    return of.reduce((sum, post) => sum + dot(user as Float32Array, post), 0) / of.length;
  });
}

test("rows are noted once a request, posts once an impression, with posts by lot beside them", () => {
  expect(log.userOf.length).toBe(rows.n);
  expect(log.posts.n).toBe(rows.n);
  expect(log.users.n).toBe(new Set(log.userOf).size);
  expect(log.users.n).toBe(400);
  expect(log.lots.n).toBe(1600);
  expect(new Set(log.eligible)).toEqual(new Set([300]));
});

test("welcomed, shunned and passed-over impressions are told apart, with their shares", () => {
  const settings = TwoTowerOptions.parse(OPTIONS);
  const examples = towerExamples(rows, log, 0, rows.n, settings, 1);
  const label = (row: number, head: number): number => rows.labels[row * 2 + head] as number;
  for (const [i, row] of examples.welcomed.entries()) {
    expect(label(row, 0)).toBe(1);
    const other = examples.shunned[i] as number;
    if (other < 0) {
      expect(examples.pairWeight[i]).toBe(0);
      continue;
    }
    expect(label(other, 0)).toBe(0);
    expect(rows.userIds[other]).toBe(rows.userIds[row]);
    expect(examples.pairWeight[i]).toBe(
      label(other, 1) === 1 ? settings.negativeFeedbackWeight : 1,
    );
  }
  const liked = rows.labels.filter((value, i) => i % 2 === 0 && value === 1).length;
  expect(examples.welcomed.length).toBe(liked);
  expect(examples.pairWeight.includes(settings.negativeFeedbackWeight)).toBe(true);
  for (const shares of [examples.welcomedShare, examples.shownShare])
    expect(shares.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
});

test("each viewer's own topic scores above the others, by posts that training never saw", async () => {
  for (const user of [0, 1, 2]) {
    const scores = await topicScores(String(user));
    expect(scores.indexOf(Math.max(...scores)), `user ${user}: ${scores}`).toBe(user % 3);
  }
});

test("a newcomer with three engagements is served", async () => {
  const scores = await topicScores("999");
  expect(scores.indexOf(Math.max(...scores)), String(scores)).toBe(2);
});

const models = (): TowerModels => ({ ...towers, buckets: towers.settings.buckets });

test("welcomed posts score above posts by lot, with an interval", async () => {
  const won = await towerWins(models(), rows, log, 0, rows.n);
  const { retrieval } = towerMetrics(won, { seed: 1, rounds: 50 });
  const { value, low, high } = (retrieval as { auc: Interval }).auc;
  // Two thirds of the lots are of another topic, the rest are ties in taste: .83 is the most in expectation.
  expect(value).toBeGreaterThan(0.7);
  expect(value).toBeLessThan(0.9);
  expect([low < value, value < high]).toEqual([true, true]);
});

test("the same arguments give the same bytes, another seed others", async () => {
  const short = {
    rows,
    log,
    from: 0,
    to: rows.n,
    threads: 1,
    options: { ...OPTIONS, maxSteps: 4 },
  };
  const [a, b, c] = [
    await trainTwoTower({ ...short, seed: 3 }),
    await trainTwoTower({ ...short, seed: 3 }),
    await trainTwoTower({ ...short, seed: 4 }),
  ];
  expect(Buffer.from(a.user).equals(Buffer.from(b.user))).toBe(true);
  expect(Buffer.from(a.post).equals(Buffer.from(b.post))).toBe(true);
  expect(Buffer.from(a.post).equals(Buffer.from(c.post))).toBe(false);
});

const facts = {
  source: "planted",
  fromMs: 1,
  toMs: 2,
  seed: 1,
  metrics: { retrieval: { auc: { value: 0.8, low: 0.7, high: 0.9 } } },
  validation: { from_ms: 3, to_ms: 4, rows: 9, positives: {}, checksum: "of these rows" },
};
const lineage = (now: number) => ({ parent: null, command: ["roost", "train"], published_ms: now });

/** A stage directory, removed after the test. */
async function stage(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "roost-towers-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return join(dir, TWO_TOWER);
}

test("both towers are one version: published, read and checked together, with where they come from", async () => {
  const dir = await stage();
  const published = await publishTowers(dir, towers, { ...facts, rows: rows.n }, lineage(5));
  const bundle = await readVersion(dir, published.version);
  expect(bundle.manifest).toEqual(published);
  expect(await readLineage(dir, published.version)).toMatchObject(lineage(5));
  const { user, post } = towersOf(bundle);
  expect(Buffer.from(user.bundle.model).equals(Buffer.from(towers.user))).toBe(true);
  expect(Buffer.from(post.bundle.model).equals(Buffer.from(towers.post))).toBe(true);
  expect(post.bundle.manifest.features).toEqual(published.parts?.post_tower?.features);
  expect(user.denseParameters + post.denseParameters).toBe(published.parameters - 1);
  checkBundle(published);
  for (const model of modelsOf(bundle)) expect(checkWeights(model)).toBeGreaterThan(0);
});

test("a post tower of another training, a damaged one or none is refused", async () => {
  const dir = await stage();
  const { version } = await publishTowers(dir, towers, { ...facts, rows: rows.n }, lineage(5));
  const file = join(versionDir(dir, version), "post_tower.onnx");
  await writeFile(file, towers.user);
  await expect(readVersion(dir, version)).rejects.toThrow(/post_tower.onnx does not match/);
  await rm(file);
  await expect(readVersion(dir, version)).rejects.toMatchObject({ code: "BAD_BUNDLE" });
  // Publishing the same towers again mends it.
  await publishTowers(dir, towers, { ...facts, rows: rows.n }, lineage(9));
  const { manifest, model, parts } = await readVersion(dir, version);
  const { version: _, checksum: __, ...rest } = manifest;
  const again = join(dir, "..", "again");
  await expect(writeBundle(again, model, rest, { post_tower: model })).rejects.toThrow(
    /part post_tower is not the one of its manifest/,
  );
  await expect(writeBundle(again, model, rest)).rejects.toThrow(/part post_tower/);
  expect((await writeBundle(again, model, rest, parts)).version).toBe(version);
  const other = { ...manifest, schema_hash: "other" };
  expect(() => checkBundle(other)).toThrow(/other feature definitions/);
  expect(() => checkBundle({ ...manifest, parts: {} })).toThrow(/lacks the part post_tower/);
});

test("a version of worse towers is not promoted, one of equal ones is, and a rollback returns", async () => {
  const dir = await stage();
  const version = async (auc: number, seed: number): Promise<string> => {
    const metrics = { retrieval: { auc: { value: auc, low: auc - 0.1, high: auc + 0.1 } } };
    const made = { ...facts, rows: rows.n, metrics, seed };
    return (await publishTowers(dir, towers, made, lineage(seed))).version;
  };
  const [first, worse, equal] = [
    await version(0.8, 1),
    await version(0.79, 2),
    await version(0.796, 3),
  ];
  const move = { stageDir: dir, action: "promote", nowMs: 1 } as const;
  await promote({ ...move, version: first });
  await expect(promote({ ...move, version: worse })).rejects.toMatchObject({
    code: "PROMOTION_REFUSED",
    detail: expect.stringContaining("retrieval auc 0.7900 is worse"),
  });
  await promote({ ...move, version: equal });
  expect((await readChampion(dir)).manifest.version).toBe(equal);
  expect(await rollback(dir, 2)).toEqual({ from: equal, to: first });
});

test("two versions are compared on the same pairs: a trained one beats one of a single step", async () => {
  const dir = await stage();
  const raw = await trainTwoTower({
    rows,
    log,
    from: 0,
    to: rows.n,
    threads: 1,
    seed: 1,
    options: { ...OPTIONS, maxSteps: 1, topicGain: 0 },
  });
  const bundleOf = async (made: TrainedTowers) =>
    readVersion(
      dir,
      (await publishTowers(dir, made, { ...facts, rows: rows.n }, lineage(1))).version,
    );
  const [a, b] = [await bundleOf(raw), await bundleOf(towers)];
  const options = { seed: 1, rounds: 50 };
  const { paired, metrics } = await compareTowers(a, b, rows, log, options);
  expect([paired, metrics.length]).toEqual([true, 1]);
  const [compared] = metrics;
  expect(compared).toMatchObject({ head: "retrieval", metric: "auc", verdict: "better" });
  const won = towerMetrics(await towerWins(models(), rows, log, 0, rows.n), options);
  expect(compared?.b).toEqual(won.retrieval?.auc);
  expect(compared?.difference.value).toBeCloseTo(
    (compared?.b.value as number) - (compared?.a.value as number),
    12,
  );
  const same = await compareTowers(b, b, rows, log, options);
  expect(same.metrics[0]).toMatchObject({ difference: { value: 0 }, verdict: "noise" });
});

test("too few welcomed impressions, unknown options and an abort end training with their reason", async () => {
  const base = { rows, log, from: 0, to: rows.n, seed: 1, threads: 1 };
  await expect(trainTwoTower({ ...base, to: 5 })).rejects.toMatchObject({ code: "BAD_DATASET" });
  await expect(trainTwoTower({ ...base, options: { colour: 1 } as never })).rejects.toMatchObject({
    code: "BAD_ARGUMENT",
  });
  await expect(
    trainTwoTower({ ...base, options: OPTIONS, signal: AbortSignal.abort(new Error("enough")) }),
  ).rejects.toThrow("enough");
});
