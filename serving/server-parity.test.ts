import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { heldOutDir } from "../datasets/dataset.ts";
import type { LoggedEvent } from "../datasets/events.ts";
import { SegmentRoller } from "../datasets/log/roller.ts";
import { readSegments } from "../datasets/log/segments.ts";
import { type Random, random, shuffle } from "../datasets/random.ts";
import { openDataDir } from "../datasets/storage/data-dir.ts";
import type { BundleManifest } from "../features/bundle.ts";
import { readChampion } from "../features/models/champion.ts";
import type { IdColumn } from "../features/registry.ts";
import { Replay } from "../features/replay.ts";
import { InlineSession } from "./inference/inline-session.ts";
import { type TestServer, testServer } from "./space.fixture.ts";
import { openState } from "./state/open-state.ts";

const DAY_MS = 86_400_000;
/** Sessions are runs of time, not sums: a late impression can only be placed in the running one. */
const IN_ORDER_ONLY = new Set([
  "user.session_impressions",
  "user.session_minutes",
  "user.sessions",
]);

const heavyManifest = async (dir: string): Promise<BundleManifest> =>
  (await readChampion(join(dir, "models", "heavy"))).manifest;

/** Puts everything that a closed server logged into segments. */
async function roll(dir: string): Promise<void> {
  const owned = openDataDir(dir, "own");
  const { log, close } = await openState(owned);
  await new SegmentRoller({ log, dir: owned.segments }).roll(0, { all: true });
  await close();
  owned.close();
}

/** Replays the segments alone into rows; the key of each row is its request and post. */
async function replayed(
  dir: string,
  manifest: BundleManifest,
): Promise<{ rowOf: Map<string, Float32Array>; replay: Replay; events: LoggedEvent[] }> {
  const replay = new Replay({
    features: manifest.features,
    ids: manifest.ids.map(({ name }) => name as IdColumn),
    heads: [],
  });
  const keys: string[] = [];
  const events: LoggedEvent[] = [];
  for await (const batch of readSegments(join(dir, "segments"), { order: "time" }))
    for (const event of batch) {
      replay.push(event);
      events.push(event);
      if (event.type === "impression") keys.push(`${event.request_id} ${event.post_id}`);
    }
  replay.settle();
  const { features, n } = replay.rows();
  expect(n).toBe(keys.length);
  const width = manifest.features.length;
  return {
    rowOf: new Map(keys.map((key, i) => [key, features.subarray(i * width, (i + 1) * width)])),
    replay,
    events,
  };
}

const asRow = (logged: readonly (number | null)[]): Float32Array =>
  Float32Array.from(logged, (value) => value ?? Number.NaN);

/** A day of one small network: pages, what was seen of them, reactions, posts, follows, blocks, deletions. */
async function live(server: TestServer, rnd: Random, pages: number): Promise<void> {
  const { graph, posts } = server.parts;
  const users = [...graph.users()];
  const one = <T>(items: readonly T[]): T => items[rnd.below(items.length)] as T;
  for (let i = 0; i < pages; i++) {
    server.advance(1 + rnd.below(20 * 60_000));
    const user_id = one(users);
    const page = await server.rank({ user_id, limit: 15 });
    // Shown in the millisecond of the ranking, so that replay stands where the request stood.
    const shown = page.items.map(({ post_id }, position) => ({
      type: "impression",
      request_id: page.request_id,
      user_id,
      post_id,
      position,
    }));
    await server.send(shown);
    await server.settled();
    server.advance(1 + rnd.below(60_000));
    const reactions = shown.flatMap(({ post_id, request_id }) => {
      const head = one(["favorite", "reply", "click", "dwell", "not_interested", "repost"]);
      const reaction = { type: "engagement", user_id, post_id, request_id, head };
      return rnd.next() < 0.4 ? [reaction] : [];
    });
    const author = one(users);
    const text = `words ${one(["tea", "chess", "moss"])} ${i}`;
    await server.send([
      ...reactions,
      ...reactions.slice(0, 1).map((reaction) => ({ ...reaction, undo: true })),
      { type: "post_created", post_id: `1000${i}${user_id.slice(-4)}`, author_id: author, text },
      { type: one(["follow", "unfollow"]), user_id, target_id: one(users) },
      ...(rnd.next() < 0.1 ? [{ type: "block", user_id, target_id: one(users) }] : []),
      ...(rnd.next() < 0.1
        ? [{ type: "post_deleted", post_id: one([...posts.values()]).postId }]
        : []),
      ...(rnd.next() < 0.03 ? [{ type: "user_deleted", user_id: one(users) }] : []),
    ]);
  }
}

test("the vectors that requests were scored with are, to the bit, what replay of the segments gives: a restart and a roll between", async () => {
  const rnd = random(11, "parity");
  const before = await testServer({ candidateLogShare: 1 });
  await live(before, rnd, 15);
  await before.close();
  await roll(before.dir);
  const after = await testServer({ dir: before.dir, candidateLogShare: 1 });
  await live(after, rnd, 15);
  await after.close();
  await roll(before.dir);

  const manifest = await heavyManifest(before.dir);
  const { rowOf, events } = await replayed(before.dir, manifest);
  const differing: string[] = [];
  let compared = 0;
  let present = 0;
  for (const event of events) {
    if (event.type !== "served") continue;
    expect(event.candidates?.length).toBeGreaterThan(event.items.length);
    for (const candidate of event.candidates ?? []) {
      const row = rowOf.get(`${event.request_id} ${candidate.post_id}`);
      if (row === undefined) continue;
      const vector = asRow(candidate.features as (number | null)[]);
      differing.push(...manifest.features.filter((_, f) => !Object.is(vector[f], row[f])));
      compared++;
      present += vector.filter((value) => !Number.isNaN(value)).length;
    }
  }
  expect(differing).toEqual([]);
  expect(compared).toBeGreaterThan(400);
  // Most of what was compared were numbers.
  expect(present / (compared * manifest.features.length)).toBeGreaterThan(0.5);
});

test("with arrivals shuffled inside batches and a restart between, state and served vectors agree with replay to 1e-9 of a count", async () => {
  const rnd = random(12, "parity");
  const settings = { clock: "wall" } as const;
  const options = { settings, atMs: DAY_MS, candidateLogShare: 1 };
  const first = await testServer(options);
  const traffic: LoggedEvent[] = [];
  for await (const batch of readSegments(heldOutDir(first.dir), { order: "time" }))
    traffic.push(...batch.filter(({ type }) => type !== "served"));
  traffic.splice(6_000);
  let server = first;
  for (let at = 0; at < traffic.length; ) {
    const size = 1 + rnd.below(400);
    const batch = shuffledSignals(traffic.slice(at, at + size), rnd);
    await server.send(batch.map(({ seq: _, ...event }) => event));
    if (at < 3_000 && at + size >= 3_000) {
      await server.close();
      await roll(first.dir);
      server = await testServer({ ...options, dir: first.dir });
    }
    at += size;
  }
  for (const user_id of [...server.parts.graph.users()].slice(0, 10)) {
    server.advance(1000);
    const page = await server.rank({ user_id, limit: 15 });
    await server.send(
      page.items.map(({ post_id }, position) => ({
        type: "impression",
        request_id: page.request_id,
        user_id,
        post_id,
        position,
      })),
    );
    await server.settled();
  }
  await server.close();
  await roll(first.dir);

  const manifest = await heavyManifest(first.dir);
  const { rowOf, replay, events } = await replayed(first.dir, manifest);
  const last = await testServer({ ...options, dir: first.dir });
  let largest = 0;
  let vectors = 0;
  for (const [entity, key, expected] of replay.state.entries()) {
    if (entity === "user") continue;
    const actual = last.features.get(entity, key) as Float64Array;
    vectors++;
    for (let s = 0; s < expected.length; s++) {
      const [a, b] = [actual[s] as number, expected[s] as number];
      if (Number.isNaN(b)) expect(a).toBeNaN();
      // Sums of terms of both signs: relative to one event where they cancel.
      else largest = Math.max(largest, Math.abs(a - b) / Math.max(1, Math.abs(b)));
    }
  }
  expect(vectors).toBeGreaterThan(5_000);
  expect(largest).toBeLessThan(1e-9);
  expect(largest).toBeGreaterThan(0);

  const differing: string[] = [];
  let compared = 0;
  for (const event of events) {
    if (event.type !== "served") continue;
    for (const candidate of event.candidates ?? []) {
      const row = rowOf.get(`${event.request_id} ${candidate.post_id}`);
      if (row === undefined) continue;
      const vector = asRow(candidate.features as (number | null)[]);
      for (const [f, name] of manifest.features.entries()) {
        if (IN_ORDER_ONLY.has(name)) continue;
        const [a, b] = [vector[f] as number, row[f] as number];
        // Rows are float32: equal up to its last bit.
        const near = Math.abs(a - b) <= 2e-7 * Math.max(1, Math.abs(b));
        if (!near && !(Number.isNaN(a) && Number.isNaN(b))) differing.push(`${name} ${a} ${b}`);
      }
      compared++;
    }
  }
  expect(differing).toEqual([]);
  expect(compared).toBeGreaterThan(100);
});

test("a served record names the log position that its vectors reflect: events that came while the light ranker ran included", async () => {
  const server = await testServer();
  const [user_id, target_id] = [...server.parts.graph.users()] as [string, string];
  const before = server.parts.logPosition();
  const run = InlineSession.prototype.run;
  vi.spyOn(InlineSession.prototype, "run").mockImplementationOnce(async function (
    this: InlineSession,
    ...job
  ) {
    await server.send([{ type: "mute", user_id, target_id }]);
    return run.apply(this, job);
  });
  const page = await server.rank({ user_id });
  expect(page.degraded).toEqual([]);
  const [served] = await server.recordsOf("served");
  expect(served?.log_position).toBe(before + 1);
});

/** Shuffles the runs of impressions and engagements; what makes posts and profiles keeps its place. */
function shuffledSignals(batch: readonly LoggedEvent[], rnd: Random): LoggedEvent[] {
  const out: LoggedEvent[] = [];
  let run: LoggedEvent[] = [];
  for (const event of batch) {
    if (event.type === "impression" || event.type === "engagement") run.push(event);
    else {
      out.push(...shuffle(run, rnd), event);
      run = [];
    }
  }
  return [...out, ...shuffle(run, rnd)];
}
