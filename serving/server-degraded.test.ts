import { setTimeout as delay } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { PopularPosts } from "../candidates/popular-posts.ts";
import { PostStore } from "../candidates/post-store.ts";
import { SocialGraph } from "../candidates/social-graph.ts";
import { startSession } from "./inference/start-session.ts";
import { type TestServer, testServer } from "./space.fixture.ts";

let server: TestServer;
let viewers: string[];
/** The workers in order of their start: light, heavy, then what replaced them. */
const workers: Worker[] = [];
beforeAll(async () => {
  server = await testServer({
    startSession: (settings) => {
      const worker = startSession(settings);
      workers.push(worker);
      return worker;
    },
  });
  const { graph } = server.parts;
  viewers = [...graph.users()].filter((user) => graph.following(user).size >= 10);
});
afterEach(() => vi.restoreAllMocks());
const nextViewer = (): string => viewers.shift() as string;

async function counted(component: string, kind = "failed"): Promise<number> {
  const { body } = await server.app.server.inject("/metrics");
  const line = body
    .split("\n")
    .find((text) =>
      text.startsWith(`roost_component_failures_total{component="${component}",kind="${kind}"`),
    );
  return line === undefined ? 0 : Number(line.split(" ").at(-1));
}

test("a model worker that dies in a request costs that request its model; the page is answered and the next has it again", async () => {
  const heavy = workers[0] as Worker;
  // Ended before it looks at the job: inside native code it could take this process along.
  vi.spyOn(heavy, "postMessage").mockImplementation(() => void heavy.terminate());
  const page = await server.rank({ user_id: nextViewer(), explain: true });
  expect(page.items).toHaveLength(20);
  expect(page.degraded).toContainEqual({ component: "heavy_model", kind: "failed" });
  for (const { score, explain } of page.items) {
    const { base, multipliers } = explain as NonNullable<typeof explain>;
    const product = multipliers.reduce((product, { value }) => product * value, base);
    expect(Math.abs(product - score)).toBeLessThanOrEqual(1e-9 * Math.abs(score));
  }
  expect(await counted("heavy_model")).toBe(1);

  for (let i = 0; workers.length < 2 && i < 200; i++) await delay(25);
  expect(workers).toHaveLength(2);
  const after = await server.rank({ user_id: nextViewer() });
  expect(after.degraded).toEqual([]);
});

test("a feature store that cannot be read costs the models; the page is answered newest first", async () => {
  vi.spyOn(server.features, "get").mockImplementation(() => {
    throw new Error("the disk is gone");
  });
  const page = await server.rank({ user_id: nextViewer() });
  expect(page.items).toHaveLength(20);
  const failed = page.degraded.map(({ component }) => component);
  expect(failed).toEqual(expect.arrayContaining(["light_features", "heavy_features"]));
  expect(await counted("light_features")).toBe(1);
  expect(await counted("heavy_features")).toBe(1);
});

test("a source that fails is done without", async () => {
  vi.spyOn(PopularPosts.prototype, "top").mockImplementation(() => {
    throw new Error("no order");
  });
  const page = await server.rank({ user_id: nextViewer() });
  expect(page.items).toHaveLength(20);
  expect(page.degraded).toEqual([{ component: "popular", kind: "failed" }]);
  expect(page.items.every(({ source }) => source === "in_network")).toBe(true);
  expect(await counted("popular")).toBe(1);
});

test("without the viewer's blocks nothing is shown: the page is empty and says why", async () => {
  vi.spyOn(SocialGraph.prototype, "blocked").mockImplementation(() => {
    throw new Error("no graph");
  });
  const page = await server.rank({ user_id: nextViewer() });
  expect(page.items).toEqual([]);
  expect(page.degraded).toEqual([{ component: "viewer_graph", kind: "failed" }]);
});

test("a required part that fails is a 502 problem that tells no inner detail, and the server serves on", async () => {
  vi.spyOn(PostStore.prototype, "get").mockImplementation(() => {
    throw new Error("secret path");
  });
  const ask = { user_id: nextViewer(), product: "for_you", limit: 5, candidate_post_ids: ["1"] };
  const answer = await server.post("/v1/rank", ask);
  expect(answer).toMatchObject({ status: 502, body: { code: "COMPONENT_FAILED" } });
  expect(JSON.stringify(answer.body)).not.toContain("secret path");
  vi.restoreAllMocks();
  expect((await server.rank({ user_id: nextViewer() })).degraded).toEqual([]);
});

test("a ranking that fails leaves the components that it came to in its log line and in the metrics", async () => {
  vi.spyOn(PostStore.prototype, "get").mockImplementation(() => {
    throw new Error("no posts");
  });
  const before = { failures: await counted("given"), lines: server.lines.length };
  const answer = await server.post("/v1/rank", {
    user_id: nextViewer(),
    product: "for_you",
    limit: 5,
    candidate_post_ids: ["1"],
  });
  expect(answer.status).toBe(502);
  const line = server.lines.slice(before.lines).find(({ msg }) => msg === "ranked");
  expect(line).toMatchObject({
    status: 502,
    code: "COMPONENT_FAILED",
    items: 0,
    degraded: ["given:failed"],
    pipeline_ms: expect.any(Number),
    weights_checksum: expect.any(String),
  });
  const names = Object.keys(line?.components as object);
  expect(names).toEqual(expect.arrayContaining(["viewer_graph", "viewer_history", "given"]));
  // What comes after the failed component never ran.
  for (const later of ["post_core", "light_model", "heavy_model"])
    expect(names).not.toContain(later);
  expect(await counted("given")).toBe(before.failures + 1);
});

test("a server without models serves newest first and says that it is not ready", async () => {
  const bare = await testServer({ settings: { modelDir: "/nonexistent" } });
  const page = await bare.rank({ user_id: nextViewer() });
  expect(page.items).toHaveLength(20);
  expect(page.model_versions).toEqual({});
  const ready = await bare.app.server.inject("/readyz");
  expect(ready.statusCode).toBe(503);
  expect(ready.json()).toEqual({
    ready: false,
    reasons: ["there is no light model", "there is no heavy model"],
  });
  expect((await server.app.server.inject("/readyz")).statusCode).toBe(200);
});

test("when state can no longer be written the server says that it should be replaced; what was accepted is kept", async () => {
  const { dir, features, ...broken } = await testServer();
  vi.spyOn(
    features as unknown as { transaction(): Promise<void> },
    "transaction",
  ).mockRejectedValue(new Error("the disk is full"));
  const [user_id, target_id] = [...broken.parts.graph.users()] as [string, string];
  const follow = { type: "follow", user_id, target_id, event_id: "kept" };
  const answer = await broken.post("/v1/events", [follow]);
  expect(answer).toMatchObject({ status: 200, body: { accepted: 1 } });
  expect((await broken.app.server.inject("/livez")).statusCode).toBe(503);
  expect((await broken.app.server.inject("/readyz")).json()).toMatchObject({
    reasons: ["the log consumer has stopped"],
  });
  vi.restoreAllMocks();
  await broken.close();
  const healed = await testServer({ dir });
  expect(healed.parts.graph.following(user_id).has(target_id)).toBe(true);
  expect((await healed.app.server.inject("/livez")).statusCode).toBe(200);
});
