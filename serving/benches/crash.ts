import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { random } from "../../datasets/random.ts";
import { startRedis } from "../../datasets/storage/own-redis.ts";
import { figure, writeReport } from "./bench-report.ts";
import { checkAfterCrash } from "./crash-check.ts";
import { benchCrashCluster } from "./crash-cluster.ts";
import { crashDrill } from "./crash-drill.ts";
import { benchCrashSpool } from "./crash-spool.ts";

/*
 * A server is killed by SIGKILL in one step of the write path after another, under load from several clients, and started
 * again on what it left. The acknowledged events are kept by this process; each look compares the log with them and every
 * derived state with a clean replay. With --redis log, features and timelines are on a Redis of its own, which stays up; with
 * --cluster on a Cluster of its own, whose slots move and whose masters die as well. With --spool the Redis goes and comes back,
 * and servers are killed in the steps of what waits aside for it.
 */
const USAGE =
  "usage: roost bench crash [--kills N (100)] [--every N (10)] [--seed N (1)] [--redis] [--cluster [--rounds N (3)]] [--spool] [--json]";

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    kills: { type: "string", default: "100" },
    every: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    redis: { type: "boolean", default: false },
    cluster: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    spool: { type: "boolean", default: false },
  },
});

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  if (flags.cluster) {
    const { seed, rounds, json } = flags;
    return benchCrashCluster({ seed: Number(seed), rounds: Number(rounds), json });
  }
  const [kills, every] = [Number(flags.kills), Number(flags.every)];
  if (flags.spool)
    return benchCrashSpool({ seed: Number(flags.seed), kills, every, json: flags.json });
  const dataDir = await mkdtemp(join(tmpdir(), "roost-bench-crash-"));
  const redis = flags.redis ? await startRedis({ durable: true }) : undefined;
  const redisUrl = redis?.url;
  const differing: string[] = [];
  let [lost, doubled, records, looks] = [0, 0, 0, 0];
  try {
    const drill = await crashDrill({
      dataDir,
      kills,
      ...(redisUrl !== undefined && { redisUrl }),
      random: random(Number(flags.seed), "crash"),
      nowMs: Date.now,
      afterKill: async ({ acknowledged }, kill) => {
        if ((kill + 1) % every !== 0 && kill + 1 < kills) return;
        const found = await checkAfterCrash(dataDir, acknowledged, redisUrl);
        lost = Math.max(lost, found.lost.length);
        doubled = Math.max(doubled, found.doubled.length);
        differing.push(...found.differing);
        records = found.records;
        looks++;
      },
    });
    writeReport(
      "crash",
      {
        seed: Number(flags.seed),
        on: redis === undefined ? "lmdb" : "redis",
        kills_during: drill.kills,
        differing_states: differing,
        figures: [
          { ...figure("kills", kills, "kills"), asked: "≥ 100", ok: kills >= 100 },
          { ...figure("lost", lost, "events"), asked: "0", ok: lost === 0 },
          { ...figure("doubled", doubled, "events"), asked: "0", ok: doubled === 0 },
          {
            ...figure("states_unlike_replay", differing.length, "states"),
            asked: "0",
            ok: differing.length === 0,
          },
          figure("acknowledged", drill.acknowledged.size, "events"),
          figure("records", records, "records"),
          figure("batches_sent_again", drill.repeated, "batches"),
          figure("looks", looks, "looks"),
        ],
      },
      flags.json,
      `kills by step: ${JSON.stringify(drill.kills)}\n${differing.map((text) => `${text}\n`).join("")}`,
    );
  } finally {
    await redis?.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

await main();
