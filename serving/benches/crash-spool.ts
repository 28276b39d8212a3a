import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SPOOL_PHASES, type SpoolPhase } from "../../datasets/phases.ts";
import { random } from "../../datasets/random.ts";
import { startRedis } from "../../datasets/storage/own-redis.ts";
import { type Figure, figure, writeReport } from "./bench-report.ts";
import { checkSpooled } from "./spool-check.ts";
import { SpoolDrill, type SpoolRound } from "./spool-drill.ts";

export interface CrashSpoolOptions {
  readonly seed: number;
  readonly kills: number;
  /** Kills between two looks. */
  readonly every: number;
  readonly json: boolean;
}

/** Servers on a Redis of their own that goes and comes back are killed in the steps of what waits aside for it. */
export async function benchCrashSpool(options: CrashSpoolOptions): Promise<void> {
  const { seed, kills, every, json } = options;
  const dataDir = await mkdtemp(join(tmpdir(), "roost-bench-crash-"));
  const redis = await startRedis({ durable: true });
  const rounds: SpoolRound[] = [];
  const found = {
    lost: new Set<string>(),
    doubled: new Set<string>(),
    misplaced: new Set<string>(),
    differing: new Set<string>(),
  };
  let [records, looks] = [0, 0];
  try {
    const drill = new SpoolDrill({
      dataDir,
      redis,
      random: random(seed, "spool"),
      nowMs: Date.now,
    });
    while (rounds.length < kills) {
      const step = SPOOL_PHASES[rounds.length % SPOOL_PHASES.length];
      rounds.push(await drill.die(step as SpoolPhase));
      if (rounds.length % every !== 0 && rounds.length < kills) continue;
      await drill.settle();
      const look = await checkSpooled(dataDir, drill, redis.url);
      for (const [name, all] of Object.entries(found))
        for (const one of look[name as keyof typeof found]) all.add(one);
      ({ records } = look);
      looks++;
    }
    const byStep = countBy(rounds, ({ died }) => died);
    const of = (wanted: (round: SpoolRound) => boolean): number => rounds.filter(wanted).length;
    writeReport(
      "crash",
      {
        seed,
        on: "redis that goes and comes back, events kept aside, appendfsync always",
        kills_during: byStep,
        differing_states: [...found.differing],
        rounds,
        figures: [
          figure("spool_kills", kills, "kills"),
          ...SPOOL_PHASES.map((step) => figure(`kills_${step}`, byStep[step] ?? 0, "kills")),
          none("spool_lost", found.lost.size, "events"),
          none("spool_doubled", found.doubled.size, "events"),
          none("spool_misplaced", found.misplaced.size, "events"),
          none("spool_states_unlike_replay", found.differing.size, "states"),
          figure(
            "redis_killed",
            of(({ outage }) => outage === "killed"),
            "outages",
          ),
          figure(
            "redis_paused",
            of(({ outage }) => outage === "paused"),
            "outages",
          ),
          figure(
            "starts_before_redis",
            of(({ redisLate }) => redisLate),
            "starts",
          ),
          figure(
            "kills_with_events_aside",
            of(({ left }) => left > 0),
            "kills",
          ),
          figure("most_left_aside", Math.max(...rounds.map(({ left }) => left)), "events"),
          figure("acknowledged", drill.load.acknowledged.size, "events"),
          figure("records", records, "records"),
          figure("batches_sent_again", drill.load.repeated, "batches"),
          figure("looks", looks, "looks"),
        ],
      },
      json,
      `kills by step: ${JSON.stringify(byStep)}\n${[...found.differing].map((text) => `${text}\n`).join("")}`,
    );
  } finally {
    await redis.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

const none = (name: string, value: number, unit: string): Figure => ({
  ...figure(name, value, unit),
  asked: "0",
  ok: value === 0,
});

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[keyOf(item)] = (counts[keyOf(item)] ?? 0) + 1;
  return counts;
}
