import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openDataDir } from "../datasets/storage/data-dir.ts";
import { connectRedis, parseRedisUrl } from "../datasets/storage/redis.ts";
import { REDIS_MISSING, startRedis } from "../datasets/storage/redis-server.fixture.ts";
import { FeatureKeys, STORED_LAYOUT } from "../features/redis/feature-keys.ts";
import { holdLayout } from "../features/redis/layout-lease.ts";
import { materialize, type Step } from "../features/redis/materialize.ts";
import { RedisFeatureStore } from "../features/redis/redis-store.ts";
import { STATE_FILE } from "../features/redis/state-file.ts";
import { storedState } from "../features/redis/stored-state.ts";
import { previewRanking } from "./rank-service.ts";
import { servedItems } from "./served-record.ts";
import { finallyDo, freshSpace, roost, type TestServer, testServer } from "./space.fixture.ts";

const OTHER_LAYOUT = "0123456789abcdef";
const LEASE_TTL_MS = 400;

/** A space on a Redis of its own, with state of another layout. */
async function spaceOnRedis() {
  const redis = await startRedis();
  finallyDo(() => redis.stop());
  const dir = await freshSpace();
  const connection = await connectRedis(parseRedisUrl(redis.url));
  finallyDo(() => connection.close());
  const options = { connection, token: 1, now: () => 1, layout: OTHER_LAYOUT };
  const other = await RedisFeatureStore.open(options);
  await other.transaction(3, (state) => state.edit("user", "1").fill(1));
  const build = (onProgress: (step: Step) => void = () => {}, signal?: AbortSignal) =>
    materialize({
      connection,
      dir: openDataDir(dir, "read"),
      owner: randomUUID(),
      wallMs: () => 1,
      monotonicMs: () => performance.now(),
      signal: signal ?? new AbortController().signal,
      onProgress,
      leaseTtlMs: LEASE_TTL_MS,
    });
  const serve = () =>
    testServer({ dir, settings: { redisUrl: redis.url }, leaseTtlMs: LEASE_TTL_MS });
  const layouts = async (): Promise<Set<string>> => {
    const keys = new FeatureKeys(connection.target.prefix);
    return new Set(
      (await connection.client.keys(`${keys.every}*`)).map((key) => keys.layoutOf(key)),
    );
  };
  return { redis, dir, connection, build, serve, layouts };
}

/** What three viewers see. */
async function told(server: TestServer): Promise<unknown> {
  const pages: unknown[] = [];
  const viewers = [...server.parts.graph.users()].slice(0, 3);
  for (const user_id of viewers) {
    const request = { user_id, product: "for_you", limit: 20 } as const;
    // A busy machine may give a page without some features: such pages are asked for again, and leave no trace.
    for (;;) {
      const { table, page, record } = await previewRanking(server.parts, request, server.startedMs);
      if (record.degraded().length > 0) continue;
      pages.push(servedItems(table, page));
      break;
    }
  }
  return pages;
}

const rebuilt = (server: TestServer): unknown[] =>
  server.lines.filter(({ reason }) => String(reason).startsWith("features"));

describe.skipIf(REDIS_MISSING)("materialised feature state (needs redis-server)", () => {
  test("a server starts from it, ranks as an embedded one, and earlier layouts go", async () => {
    const expected = await told(await testServer());
    const { redis, dir, build, serve, layouts, connection } = await spaceOnRedis();
    const { position } = await build();
    expect(await layouts()).toEqual(new Set([OTHER_LAYOUT, STORED_LAYOUT]));
    const server = await serve();
    expect(rebuilt(server)).toEqual([]);
    expect(await told(server)).toEqual(expected);
    await expect.poll(layouts).toEqual(new Set([STORED_LAYOUT]));

    const refused = await roost(
      ["features", "materialize", "--data-dir", dir, "--redis-url", redis.url],
      {},
    );
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(
      /^roost: another owner has taken over: a server writes this layout already, at position \d+: nothing to materialise/,
    );
    await server.close();

    // A build to come makes its state ready; this one starts again and leaves that alone.
    const lease = await holdLayout(connection, {
      owner: "next",
      layout: OTHER_LAYOUT,
      monotonicMs: () => performance.now(),
      onLost: () => {},
      ttlMs: LEASE_TTL_MS,
    });
    const next = await RedisFeatureStore.open({
      connection,
      token: lease.token,
      now: () => 1,
      layout: OTHER_LAYOUT,
    });
    await next.transaction(position, (state) => state.edit("user", "1").fill(2));
    await lease.release();
    await (await serve()).close();
    expect(await layouts()).toEqual(new Set([OTHER_LAYOUT, STORED_LAYOUT]));
  });

  test("a server that finds it half made builds it anew, and ranks the same", async () => {
    const { dir, connection, build, serve } = await spaceOnRedis();
    const ended = new AbortController();
    const half = build((step) => step === "write" && ended.abort(new Error("half")), ended.signal);
    await expect(half).rejects.toThrow("half");
    expect(existsSync(join(dir, STATE_FILE))).toBe(true);
    const server = await serve();
    expect(rebuilt(server)).toHaveLength(1);
    expect(await told(server)).toEqual(await told(await testServer()));
    await server.close();
    const keys = new FeatureKeys(connection.target.prefix);
    const { position } = await storedState(connection, keys);
    // What the first run left is not written over what a server has built since.
    expect(await build()).toMatchObject({ resumed: "catch_up", position, vectors_written: 0 });
    expect(existsSync(join(dir, STATE_FILE))).toBe(false);
  });

  test("the command reports its progress and ends with one report; figures stand on /metrics", async () => {
    const { redis, dir, serve } = await spaceOnRedis();
    const ended = await roost(["features", "materialize", "--json", "--progress-json"], {
      env: { ROOST_DATA_DIR: dir, ROOST_REDIS_URL: redis.url },
    });
    expect(ended.code).toBe(0);
    const report = JSON.parse(ended.stdout) as Record<string, unknown>;
    expect(report).toMatchObject({ layout: STORED_LAYOUT, resumed: null, events_caught_up: 0 });
    expect(report.events_replayed).toBe(report.position);
    const progress = ended.stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { step: string; share: number });
    expect(new Set(progress.map(({ step }) => step))).toEqual(new Set(["replay", "write"]));
    expect(progress.at(-1)).toMatchObject({ step: "write", share: 1 });
    const without = await roost(["features", "materialize", "--data-dir", dir], {});
    expect(without).toMatchObject({ code: 1, stdout: "" });
    expect(without.stderr).toContain("ROOST_REDIS_URL");

    const server = await serve();
    await told(server);
    const reply = await server.app.server.inject("/metrics");
    expect(reply.body).toMatch(
      /^roost_feature_reads_total\{entity="post",status="present"\} [1-9]/m,
    );
    expect(reply.body).toMatch(/^roost_feature_age_seconds_count [1-9]/m);
    const embedded = await (await testServer()).app.server.inject("/metrics");
    expect(embedded.body).toMatch(/^roost_feature_bytes\{entity="post"\} [1-9]/m);
    expect(embedded.body).toMatch(/^roost_feature_entities\{entity="user"\} [1-9]/m);
  });
});
