import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { moveAlias } from "../features/models/aliases.ts";
import { readChampion } from "../features/models/champion.ts";
import { publishVersion, readVersion, versionDir } from "../features/models/versions.ts";
import { TWO_TOWER, towersOf } from "../features/tower-bundle.ts";
import { USER_TOWER } from "../features/tower-inputs.ts";
import { TowerReader } from "../features/tower-reader.ts";
import { TowerRows } from "../features/tower-rows.ts";
import { TowerSession } from "./inference/tower-session.ts";
import { DEFAULT_PARAMS } from "./params.ts";
import { previewRanking } from "./rank-service.ts";
import { finallyDo, freshSpace, roost, type TestServer, testServer } from "./space.fixture.ts";

let space: string;
/** The version of the towers. */
let first: string;

beforeAll(async () => {
  space = await freshSpace();
  const trained = await roost([
    "train",
    "--data",
    space,
    "--rankers",
    "two_tower",
    "--metric-rounds",
    "10",
    "--json",
  ]);
  expect(trained.code, trained.stderr).toBe(0);
  const report = JSON.parse(trained.stdout);
  first = report.bundles.two_tower.version;
  expect(report.promotions.two_tower).toEqual({ champion: first });
  expect(report.bundles.two_tower.metrics.retrieval.auc.value).toBeGreaterThan(0.5);
});

const copied = (): Promise<string> => copyOf(space);

/** A copy without the lock of whoever owns the original. */
async function copyOf(from: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "roost-retrieval-"));
  finallyDo(() => rm(dir, { recursive: true, force: true }));
  await cp(from, dir, { recursive: true });
  await rm(join(dir, "lock"), { force: true });
  return dir;
}

/** Somebody who asks and somebody whom they do not follow. */
function strangers({ parts: { graph } }: TestServer): { viewer: string; stranger: string } {
  for (const viewer of graph.users()) {
    const followed = graph.following(viewer);
    if (followed.size < 3) continue;
    for (const stranger of graph.users())
      if (stranger !== viewer && !followed.has(stranger)) return { viewer, stranger };
  }
  throw new Error("the world has no strangers");
}

const written = (server: TestServer, postId: string, authorId: string) => ({
  type: "post_created",
  time_ms: server.startMs,
  post_id: postId,
  author_id: authorId,
  text: "a word about nothing in particular",
  language: "en",
});

const brought = async (server: TestServer, viewer: string) => {
  const request = { user_id: viewer, product: "for_you", limit: 20 } as const;
  const { record } = await previewRanking(server.parts, request, server.startMs);
  const source = record.components.find(({ name }) => name === "two_tower");
  return { rows: source?.rowsOut ?? 0, degraded: record.degraded() };
};

test("strangers' posts are retrieved, none by followed authors, at most as many as the parameter says", async () => {
  const server = await testServer({ dir: await copied() });
  await server.retrievable();
  const { viewer } = strangers(server);
  const { rows, degraded } = await brought(server, viewer);
  expect(degraded).toEqual([]);
  expect(rows).toBeGreaterThan(100);
  expect(rows).toBeLessThanOrEqual(DEFAULT_PARAMS.two_tower_limit);
  const answer = await server.rank({ user_id: viewer, limit: 50 });
  const followed = server.parts.graph.following(viewer);
  const items = answer.items.filter(({ source }) => source === "two_tower");
  expect(items.length).toBeGreaterThan(0);
  for (const { author_id, in_network } of items) {
    expect(followed.has(author_id)).toBe(false);
    expect(in_network).toBe(false);
  }
  expect(server.vectors.size).toBeGreaterThan(500);
});

test("a post can be found as soon as it is written, and no more when it or its author is deleted", async () => {
  const server = await testServer({ dir: await copied() });
  await server.retrievable();
  const { viewer, stranger } = strangers(server);
  const before = server.vectors.size;
  const find = async (postId: string): Promise<boolean> => {
    await server.retrievable();
    const { ids } = await server.vectors.nearest(viewer, server.startMs, 100_000);
    return ids.includes(postId);
  };
  await server.send([written(server, "900000000000000001", stranger)]);
  expect(await find("900000000000000001")).toBe(true);
  expect(server.vectors.size).toBe(before + 1);
  await server.send([
    {
      type: "post_deleted",
      time_ms: server.startMs,
      post_id: "900000000000000001",
      author_id: stranger,
    },
  ]);
  expect(await find("900000000000000001")).toBe(false);
  const { body } = await server.app.server.inject("/metrics");
  for (const step of ["retrievable", "gone"])
    expect(body).toContain(`roost_post_retrieval_seconds_count{step="${step}"} 1`);
  await server.send([written(server, "900000000000000002", stranger)]);
  expect(await find("900000000000000002")).toBe(true);
  await server.send([{ type: "user_deleted", time_ms: server.startMs, user_id: stranger }]);
  expect(await find("900000000000000002")).toBe(false);
});

test("what is past 48 h is taken out, what has aged gets a new vector", async () => {
  const server = await testServer({ dir: await copied() });
  await server.retrievable();
  const { viewer } = strangers(server);
  const vector = await server.vectors.viewer(viewer, server.startMs);
  const before = await server.vectors.search(vector, 400);
  server.advance(3 * 3_600_000);
  server.vectors.tend(server.startMs + 3 * 3_600_000);
  await server.retrievable();
  const after = await server.vectors.search(vector, 400);
  expect(after.ids).not.toEqual(before.ids);
  server.vectors.tend(server.startMs + 49 * 3_600_000);
  await server.retrievable();
  expect(server.vectors.size).toBe(0);
});

test("the index outlives a restart, answers the same, and a damaged one is built anew", async () => {
  const dir = await copied();
  const first = await testServer({ dir });
  await first.retrievable();
  const { viewer, stranger } = strangers(first);
  await first.send([written(first, "900000000000000003", stranger)]);
  await first.retrievable();
  const vector = await first.vectors.viewer(viewer, first.startMs);
  const found = await first.vectors.search(vector, 50);
  const { size } = first.vectors;
  await first.close();

  const second = await testServer({ dir });
  await second.retrievable();
  expect(second.vectors.size).toBe(size);
  const again = await second.vectors.search(await second.vectors.viewer(viewer, first.startMs), 50);
  expect(again.ids).toEqual(found.ids);
  expect(second.lines.some(({ msg }) => msg === "the vector index is built anew")).toBe(false);
  await second.close();

  const path = join(dir, "vectors", "vectors");
  const bytes = await readFile(path);
  bytes[500] = (bytes[500] as number) ^ 1;
  await writeFile(path, bytes);
  const third = await testServer({ dir });
  await third.retrievable();
  expect(third.lines.some(({ msg }) => msg === "the vector index is built anew")).toBe(true);
  expect(third.vectors.size).toBe(size);
});

test("while the index is being built requests are answered and say so", async () => {
  const server = await testServer({ dir: await copied() });
  const { viewer } = strangers(server);
  // The worker of the index takes longer to start than this request to answer.
  const early = await brought(server, viewer);
  expect(early).toEqual({
    rows: 0,
    degraded: [{ component: "two_tower", kind: "failed" }],
  });
  await server.retrievable();
  expect((await brought(server, viewer)).degraded).toEqual([]);
});

/** Another training, published beside the first. */
async function another(dir: string): Promise<string> {
  const stageDir = join(dir, "models", TWO_TOWER);
  const { manifest, model, parts = {} } = await readVersion(stageDir, first);
  const { version: _, checksum: __, ...rest } = manifest;
  const published = await publishVersion(
    stageDir,
    model,
    { ...rest, seed: rest.seed + 1 },
    { parent: first, command: [], published_ms: 1 },
    { parts },
  );
  return published.version;
}

test("a server that is stopped while its index is built ends without it, and the next one builds it", async () => {
  const dir = await copied();
  const first = await testServer({ dir });
  await first.close();
  expect(first.vectors.size).toBe(0);
  const next = await testServer({ dir });
  await next.retrievable();
  expect(next.vectors.size).toBeGreaterThan(500);
});

test("a promoted version takes over with an index of its own while requests go on; a rollback returns", async () => {
  const dir = await copied();
  const second = await another(dir);
  const server = await testServer({ dir });
  await server.retrievable();
  const { viewer } = strangers(server);
  const vector = await server.vectors.viewer(viewer, server.startMs);
  const before = await server.vectors.search(vector, 50);
  for (const [args, wanted] of [
    [["promote", second, "--force", "a test"], second],
    [["rollback", "--stage", TWO_TOWER], first],
  ] as const) {
    const moved = await roost(["models", ...args, "--data", dir]);
    expect(moved.code, moved.stderr).toBe(0);
    while (server.vectors.version !== wanted)
      expect((await brought(server, viewer)).degraded).toEqual([]);
    expect(server.vectors.size).toBeGreaterThan(500);
    expect((await server.vectors.search(vector, 50)).ids).toEqual(before.ids);
  }
  const listed = await roost(["models", "list", "--data", dir, "--json"]);
  const { stages } = JSON.parse(listed.stdout);
  const towers = stages.find(({ stage }: { stage: string }) => stage === TWO_TOWER);
  expect(towers.champion).toBe(first);
  expect(towers.versions.map(({ version }: { version: string }) => version).sort()).toEqual(
    [first, second].sort(),
  );
  expect(towers.versions[0].auc.retrieval).toBeGreaterThan(0.5);
  const compared = await roost([
    "models",
    "compare",
    first,
    second,
    "--data",
    dir,
    "--measure",
    "--rounds",
    "20",
    "--json",
  ]);
  expect(compared.code, compared.stderr).toBe(0);
  // The same towers under another seed: neither is better, whatever pairs they are shown.
  const { paired, metrics } = JSON.parse(compared.stdout);
  expect(paired).toBe(true);
  expect(metrics).toMatchObject([
    { head: "retrieval", metric: "auc", difference: { value: 0 }, verdict: "noise" },
  ]);
  expect(metrics[0].a.value).toBeGreaterThan(0.6);
  const shown = await roost(["models", "show", first, "--data", dir]);
  expect(shown.stdout).toMatch(/part +post_tower, \d+ features/);
});

test("a champion whose post tower is of another training is refused, and what served before serves on", async () => {
  const dir = await copied();
  const second = await another(dir);
  const server = await testServer({ dir });
  await server.retrievable();
  const stageDir = join(dir, "models", TWO_TOWER);
  await cp(
    join(versionDir(stageDir, first), "model.onnx"),
    join(versionDir(stageDir, second), "post_tower.onnx"),
  );
  const refused = await roost(["models", "promote", second, "--data", dir, "--force", "a test"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("post_tower.onnx does not match its checksum");
  // By a hand that asks nobody.
  await moveAlias(stageDir, async () => ({
    at_ms: 2,
    alias: "champion",
    action: "promote",
    to: second,
  }));
  await vi.waitUntil(
    () => server.lines.some(({ msg }) => String(msg).startsWith("towers were refused")),
    { timeout: 10_000 },
  );
  expect(server.vectors.version).toBe(first);
  const { viewer } = strangers(server);
  expect((await brought(server, viewer)).degraded).toEqual([]);

  const restarted = await copyOf(dir);
  const next = await testServer({ dir: restarted });
  await next.retrievable();
  expect(await brought(next, viewer)).toEqual({
    rows: 0,
    degraded: [{ component: "two_tower", kind: "failed" }],
  });
});

test("a retrieval that takes longer than its own timeout is done without, and the page says so", async () => {
  const server = await testServer({ dir: await copied(), retrievalTimeoutMs: 20 });
  await server.retrievable();
  let abandoned = false;
  vi.spyOn(server.vectors, "nearest").mockImplementation(
    (_viewer, _now, _k, signal) =>
      new Promise((_, reject) => {
        signal?.addEventListener("abort", () => {
          abandoned = true;
          reject(signal.reason);
        });
      }),
  );
  const { viewer } = strangers(server);
  const { items, degraded } = await server.rank({ user_id: viewer, limit: 20 });
  expect(items.length).toBe(20);
  expect(items.some(({ source }) => source === "two_tower")).toBe(false);
  expect(degraded).toEqual([{ component: "two_tower", kind: "late" }]);
  expect(abandoned).toBe(true);
});

test("a small user tower answers on the calling thread, a larger one in a worker, with the same vector", async () => {
  const { user } = towersOf(await readChampion(join(space, "models", TWO_TOWER)));
  const [inline, worker] = [
    await TowerSession.start(user, { inlineParameters: user.denseParameters }),
    await TowerSession.start(user, { inlineParameters: user.denseParameters - 1 }),
  ];
  try {
    expect([inline.inline, worker.inline]).toEqual([true, false]);
    const rows = new TowerRows(USER_TOWER, 2);
    rows.add();
    rows.features.fill(0.5);
    expect(await inline.run(rows)).toEqual(await worker.run(rows));
    await expect(worker.run(rows, AbortSignal.abort(new Error("enough")))).rejects.toThrow(
      "enough",
    );
  } finally {
    await inline.close();
    await worker.close();
  }
});

test("a viewer of whom nothing is known has a vector of length 1", async () => {
  const server = await testServer({ dir: await copied() });
  await server.retrievable();
  const vector = await server.vectors.viewer("77777777777777", server.startMs);
  expect(Math.hypot(...vector)).toBeCloseTo(1, 4);
  const rows = new TowerRows(USER_TOWER, 1);
  new TowerReader().user(server.features, "77777777777777", server.startMs, rows);
  const recent = rows.hashes.subarray(rows.slots - 16);
  expect([...recent].every((hash) => hash === 0)).toBe(true);
});

test("roost evaluate reports recall of the oracle's best, by source, beside chance and ceiling", async () => {
  const judged = await roost([
    "evaluate",
    "--data",
    space,
    "--requests",
    "0",
    "--retrievals",
    "36",
    "--no-features",
    "--rounds",
    "50",
    "--json",
  ]);
  expect(judged.code, judged.stderr).toBe(0);
  const { two_tower: retrieval } = JSON.parse(judged.stdout);
  expect(retrieval.version).toBe(first);
  expect(retrieval.requests).toBeGreaterThanOrEqual(10);
  const { two_tower, popularity, visible_oracle, by_lot } = retrieval.recall;
  expect(by_lot.value).toBeCloseTo(500 / retrieval.eligible, 1);
  for (const { value, low, high } of [two_tower, popularity, visible_oracle])
    expect([low <= value, value <= high, high <= 1]).toEqual([true, true, true]);
  expect(two_tower.low).toBeGreaterThan(by_lot.value);
  expect(visible_oracle.value).toBeGreaterThan(by_lot.value);
  // Of some 700 posts 500 are popular ones: in so small a world that is no better than chance.
  expect(popularity.high).toBeGreaterThan(by_lot.value);
  expect(visible_oracle.value).toBeGreaterThan(two_tower.value);
  expect(retrieval.recall_of_negatives.two_tower.value).toBeLessThan(by_lot.value);
  expect(retrieval.index_recall.value).toBeGreaterThan(0.97);
  expect(retrieval.two_tower_over_popularity.value).toBeCloseTo(
    two_tower.value / popularity.value,
    6,
  );
});
