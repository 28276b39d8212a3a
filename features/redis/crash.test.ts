import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  startRedis,
  startRedisCluster,
} from "../../datasets/storage/redis-server.fixture.ts";
import { applyEvent } from "../engine.ts";
import { MemoryState } from "../memory-store.ts";
import { SLOTS } from "../registry.ts";
import { smallWorld } from "../small-world.fixture.ts";
import { FeatureKeys } from "./feature-keys.ts";
import { packValue } from "./packed-value.ts";
import { RedisFeatureStore } from "./redis-store.ts";
import { encodeRedo } from "./redo-record.ts";
import { contentsInMemory, contentsOf } from "./stored-features.fixture.ts";

const SCRIPT = join(import.meta.dirname, "redis-store.crash.ts");
const MOST_KILLS = 14;

for (const kind of ["one server", "a cluster"] as const)
  test.skipIf(REDIS_MISSING)(
    `a writer that is killed at any moment, again and again, leaves what a clean replay gives, to the bit: ${kind} (needs redis-server)`,
    async () => {
      const redis = kind === "a cluster" ? await startRedisCluster() : await startRedis();
      const connection = await connectTest(redis.url);
      try {
        const rnd = random(5, kind);
        let kills = 0;
        let acknowledged = 0;
        for (let token = 1; ; token++) {
          const child = spawn(
            process.execPath,
            ["--import", "tsx", SCRIPT, `${redis.url}?prefix=t:`, String(token), "25"],
            { stdio: ["ignore", "pipe", "inherit"] },
          );
          const patience = kills < MOST_KILLS ? 5 + rnd.below(60) : Number.POSITIVE_INFINITY;
          const told = await killed(child, patience);
          // Where it began is what the one before had made durable.
          expect(told[0]).toBeGreaterThanOrEqual(acknowledged);
          acknowledged = told.at(-1) as number;
          if (child.signalCode !== "SIGKILL") break;
          kills++;
        }
        expect(kills).toBeGreaterThanOrEqual(10);
        const state = new MemoryState();
        for (const event of smallWorld(41, { impressions: 900, deletions: true }))
          applyEvent(state, event);
        expect(await contentsOf(connection, 1_000)).toEqual(contentsInMemory(state));
      } finally {
        await connection.close();
        await redis.stop();
      }
    },
    240_000,
  );

/** Kills the child so many ms after its first report; the positions that it told. */
async function killed(child: ChildProcess, afterMs: number): Promise<number[]> {
  let told = "";
  child.stdout?.on("data", (chunk) => {
    if (told === "" && Number.isFinite(afterMs)) setTimeout(() => child.kill("SIGKILL"), afterMs);
    told += chunk;
  });
  await once(child, "close");
  return told
    .split("\n")
    .filter((line) => /^\d+$/.test(line))
    .map(Number);
}

test.skipIf(REDIS_MISSING)(
  "whatever part of a batch is there, the next owner finishes it (needs redis-server)",
  async () => {
    const server = await startRedis();
    const connection = await connectTest(server.url);
    try {
      const names = ["1", "2", "3", "4"];
      const keys = new FeatureKeys(connection.target.prefix);
      const header = { token: 1, position: 2, timeMs: 5 };
      // What the second batch makes of the four: two changed, one deleted, one new.
      const made = [3, 4, undefined, 6].map((value) =>
        value === undefined ? undefined : new Float64Array(SLOTS.topic).fill(value),
      );
      const entries = names.map((name, i) => ({
        key: keys.of("topic", name),
        value: packValue(made[i], header),
      }));
      for (let there = 0; there <= entries.length; there++) {
        await connection.client.flushall();
        const first = await open(connection, 1);
        await first.transaction(1, (state) => {
          for (const name of names.slice(0, 3)) state.edit("topic", name).fill(1);
        });
        await connection.client.set(keys.redo, encodeRedo(entries, header));
        for (const { key, value } of entries.slice(0, there))
          await connection.client.set(key, value);
        const second = await open(connection, 2);
        expect(second.position).toBe(2);
        await second.transaction(3, (state) => {
          expect(names.map((name) => state.get("topic", name))).toEqual(made);
        });
        await expect(first.transaction(3, () => {})).rejects.toMatchObject({ code: "FENCED" });
      }
    } finally {
      await connection.close();
      await server.stop();
    }
  },
);

const open = (connection: RedisConnection, token: number): Promise<RedisFeatureStore> =>
  RedisFeatureStore.open({ connection, token, now: () => 1_000 });
