import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { REDIS_MISSING } from "../../datasets/storage/redis-server.fixture.ts";

interface Report {
  readonly redis: { readonly skipped?: string };
  readonly rounds: readonly { readonly store: string }[];
  readonly figures: readonly { readonly name: string; readonly value: number }[];
}

const bench = (env: Record<string, string | undefined> = process.env): Report => {
  const args = ["bench", "events", "--json", "--rounds", "2", "--seconds", "0.2"];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", "roost.ts", ...args],
    { encoding: "utf8", env },
  );
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as Report;
};
const figuresOf = (stores: readonly string[]): string[] =>
  stores.flatMap((store) => [
    `durable_events_per_s_${store}`,
    `raw_events_per_s_${store}`,
    `raw_ratio_${store}`,
    `consumer_lag_load_${store}`,
    `consumer_lag_p50_ms_${store}`,
    `consumer_lag_p99_ms_${store}`,
  ]);

test.skipIf(REDIS_MISSING)(
  "bench events prints what both logs take beside their floors, and their consumers' lag (needs redis-server)",
  () => {
    const { figures, rounds } = bench();
    expect(figures.map(({ name }) => name)).toEqual([
      "fsync_p50_ms",
      ...figuresOf(["lmdb", "redis"]),
      "consumer_lag_p99_ms",
    ]);
    for (const { name, value } of figures)
      if (!name.startsWith("consumer_lag_p50")) expect(value, name).toBeGreaterThan(0);
    expect(rounds.map(({ store }) => store)).toEqual(["lmdb", "redis", "redis", "lmdb"]);
  },
);

test("bench events says why it leaves Redis out, and measures LMDB all the same", () => {
  const { figures, redis } = bench({ HOME: process.env.HOME, PATH: "/nowhere" });
  expect(redis.skipped).toContain("no redis-server");
  expect(figures.map(({ name }) => name)).toEqual([
    "fsync_p50_ms",
    ...figuresOf(["lmdb"]),
    "consumer_lag_p99_ms",
  ]);
});
