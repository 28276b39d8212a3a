import { describe, expect, test } from "vitest";
import {
  REDIS_MISSING,
  startRedis,
  startRedisCluster,
} from "../datasets/storage/redis-server.fixture.ts";
import { finallyDo, freshSpace, type TestServer, testServer } from "./space.fixture.ts";

const viewersOf = ({ parts }: TestServer): string[] =>
  [...parts.graph.users()].filter((user) => parts.graph.following(user).size >= 10).slice(0, 6);

/** What six viewers see, before and after the same things happened. */
async function told(server: TestServer): Promise<unknown> {
  const pages: unknown[] = [];
  const viewers = viewersOf(server);
  const look = async (): Promise<void> => {
    for (const user_id of viewers) {
      const { items, degraded } = await server.rank({ user_id, explain: true });
      pages.push({
        degraded,
        items: items.map(({ post_id, score, explain }) => [post_id, score, explain?.heads]),
      });
      await server.settled();
    }
  };
  await look();
  const [viewer, other] = viewers as [string, string];
  const author_id = [...server.parts.graph.following(viewer)][0] as string;
  await server.send([
    { type: "post_created", post_id: "9999999999999999999", author_id, language: "en", text: "a" },
    ...viewers.map((user_id) => ({
      type: "engagement",
      head: "favorite",
      user_id,
      post_id: "9999999999999999999",
    })),
    { type: "block", user_id: other, target_id: author_id },
    { type: "unfollow", user_id: viewer, target_id: [...server.parts.graph.following(viewer)][1] },
  ]);
  server.advance(1_800_000);
  await look();
  return pages;
}

describe.skipIf(REDIS_MISSING)("on Redis (needs redis-server)", () => {
  test("single and Cluster rank the same posts with the same scores as embedded, before and after the same events", async () => {
    const embedded = await told(await testServer());
    const single = await startRedis();
    finallyDo(() => single.stop());
    // The machine may be busy: what is not there in time would be missing from the page.
    const patient = { featureTimeoutMs: 20_000 };
    const alone = await testServer({ settings: { redisUrl: single.url }, ...patient });
    expect(await told(alone)).toEqual(embedded);
    const cluster = await startRedisCluster();
    finallyDo(() => cluster.stop());
    const many = await testServer({ settings: { redisUrl: cluster.url }, ...patient });
    expect(await told(many)).toEqual(embedded);
  });

  test("events and state outlive a server, and another takes them over", async () => {
    const redis = await startRedis({ durable: true });
    finallyDo(() => redis.stop());
    const dir = await freshSpace();
    const settings = { redisUrl: redis.url };
    const first = await testServer({ dir, settings });
    const [user_id] = viewersOf(first) as [string];
    const author_id = [...first.parts.graph.following(user_id)][0] as string;
    const post_id = "9999999999999999999";
    await first.send([{ type: "post_created", post_id, author_id, text: "kept" }]);
    await first.close();
    const second = await testServer({ dir, settings });
    const page = await second.rank({ user_id, product: "following" });
    expect(page.items[0]?.post_id).toBe(post_id);
    expect(second.parts.logPosition()).toBeGreaterThanOrEqual(first.parts.logPosition());
  });

  test("while Redis is gone events are refused and pages come from what is left; when it is back all goes on", async () => {
    const redis = await startRedis({ durable: true });
    finallyDo(() => redis.stop());
    const server = await testServer({ settings: { redisUrl: redis.url } });
    const [user_id] = viewersOf(server) as [string];
    const follow = (event_id: string) => ({ type: "mute", event_id, user_id, target_id: "7" });
    await server.rank({ user_id });
    await server.settled();
    await redis.kill();
    const refused = await server.post("/v1/events", [follow("a")]);
    expect(refused).toMatchObject({ status: 503, body: { code: "REDIS_UNAVAILABLE" } });
    server.advance(3_600_000);
    const page = await server.rank({ user_id });
    expect(page.items.length).toBeGreaterThan(0);
    expect(page.degraded.map(({ component }) => component)).toContain("light_features");
    await redis.restart();
    await expect
      .poll(async () => (await server.post("/v1/events", [follow("a")])).status, {
        timeout: 20_000,
      })
      .toBe(200);
    await expect
      .poll(
        async () => {
          server.advance(60_000);
          return (await server.rank({ user_id })).degraded;
        },
        { timeout: 20_000 },
      )
      .toEqual([]);
  });

  test("with redisDown: spool events are taken while Redis is gone, and show in their order, once, when it is back", async () => {
    const redis = await startRedis({ durable: true });
    finallyDo(() => redis.stop());
    const dir = await freshSpace();
    const settings = { redisUrl: redis.url, redisDown: "spool" as const };
    const server = await testServer({ dir, settings });
    const [user_id] = viewersOf(server) as [string];
    const author_id = [...server.parts.graph.following(user_id)][0] as string;
    const post = (n: number) => ({
      type: "post_created",
      post_id: `999999999999999999${n}`,
      author_id,
      text: "aside",
    });
    await redis.kill();
    for (const n of [1, 2, 3])
      expect(await server.post("/v1/events", [post(n)])).toMatchObject({
        status: 200,
        body: { results: [{ status: "accepted" }] },
      });
    const waiting = async (): Promise<number> =>
      Number(
        /^roost_spooled_events (\d+)/m.exec((await server.app.server.inject("/metrics")).body)?.[1],
      );
    expect(await waiting()).toBeGreaterThanOrEqual(3);
    await redis.restart();
    await expect.poll(waiting, { timeout: 20_000 }).toBe(0);
    await server.caughtUp();
    const created = (await server.recordsOf("post_created")).map(({ post_id }) => post_id);
    expect(created.filter((id) => id.startsWith("999999999999999999"))).toEqual(
      [1, 2, 3].map((n) => post(n).post_id),
    );
  });
});
