import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisServer,
  redisCli,
  startRedisCluster,
} from "../../datasets/storage/redis-server.fixture.ts";
import { applyEvent } from "../engine.ts";
import { MemoryState } from "../memory-store.ts";
import { smallWorld } from "../small-world.fixture.ts";
import { RedisFeatureReads } from "./redis-reads.ts";
import { RedisFeatureStore } from "./redis-store.ts";
import { contentsInMemory, contentsOf } from "./stored-features.fixture.ts";

const EVENTS = smallWorld(61, { impressions: 600, deletions: true });
const BATCH = 20;

/** Applies the log and reads all the while, until `until` says so and the log is at its end. */
async function underLoad(connection: RedisConnection, replicas: number, until: () => boolean) {
  const store = await RedisFeatureStore.open({
    connection,
    token: 1,
    now: () => 5,
    cacheEntries: 100,
    replicas,
  });
  let now = 0;
  const reads = new RedisFeatureReads(connection, () => now, { timeoutMs: 2_000 });
  const posts = EVENTS.flatMap((e) => (e.type === "post_created" ? [e.post_id] : []));
  const state = new MemoryState();
  let degraded = 0;
  let loads = 0;
  while (store.position < EVENTS.length || !until()) {
    const from = store.position;
    // Behind the end of the log batches are empty, so that the load goes on.
    const part = EVENTS.slice(from, from + BATCH);
    await store.transaction(from + (part.length || 1), (editor) => {
      for (const event of part) applyEvent(editor, event);
    });
    for (const event of part) applyEvent(state, event);
    now += 2_000;
    const loaded = await reads.load({
      userId: String(1 + (loads % 12)),
      postIds: posts,
      authorIds: ["1", "2", "3"],
    });
    for (const post of posts)
      if (!loaded.degraded) expect(loaded.get("post", post)).toEqual(state.get("post", post));
    if (loaded.degraded) degraded++;
    loads++;
  }
  return { loads, degraded, contents: contentsInMemory(state) };
}

test.skipIf(REDIS_MISSING)(
  "a cluster is resharded while features are written and read: nothing is lost, doubled or missed (needs redis-server)",
  async () => {
    const cluster = await startRedisCluster();
    const connection = await connectTest(cluster.url);
    try {
      const [source, target] = cluster.servers as [RedisServer, RedisServer];
      const [from, to] = [source, target].map(({ port }) => redisCli(port, "cluster", "myid"));
      const resharding = spawn(
        "redis-cli",
        [
          ...["--cluster", "reshard", `127.0.0.1:${source.port}`, "--cluster-yes"],
          ...["--cluster-from", from as string, "--cluster-to", to as string],
          ...["--cluster-slots", "1500"],
        ],
        { stdio: "ignore" },
      );
      let ended = false;
      const code = once(resharding, "close").then(([status]) => {
        ended = true;
        return status as number;
      });
      const { loads, degraded, contents } = await underLoad(connection, 0, () => ended);
      expect(await code).toBe(0);
      expect(loads).toBeGreaterThan(10);
      expect(degraded).toBe(0);
      expect(await contentsOf(connection, 2)).toEqual(contents);
    } finally {
      await connection.close();
      await cluster.stop();
    }
  },
);

test.skipIf(REDIS_MISSING)(
  "a master dies and its replica takes over while features are written and read: with writes that wait for it nothing is lost (needs redis-server)",
  async () => {
    const cluster = await startRedisCluster(3, 1);
    const connection = await connectTest(cluster.url);
    try {
      const [first, second] = cluster.servers as [RedisServer, RedisServer];
      let promoted = false;
      const dying = (async () => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        await first.kill();
        await expect
          .poll(() => /cluster_state:ok/.test(redisCli(second.port, "cluster", "info")), {
            timeout: 30_000,
          })
          .toBe(false);
        await expect
          .poll(() => /cluster_state:ok/.test(redisCli(second.port, "cluster", "info")), {
            timeout: 30_000,
          })
          .toBe(true);
        // The promoted one has no replica to wait for until the old master is one.
        await first.restart();
        promoted = true;
      })();
      const { contents } = await underLoad(connection, 1, () => promoted);
      await dying;
      expect(await contentsOf(connection, 2)).toEqual(contents);
    } finally {
      await connection.close();
      await cluster.stop();
    }
  },
);
