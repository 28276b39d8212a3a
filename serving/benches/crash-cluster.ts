import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PHASES } from "../../datasets/phases.ts";
import { random } from "../../datasets/random.ts";
import { type RedisCluster, startRedisCluster } from "../../datasets/storage/own-redis.ts";
import { type Figure, figure, writeReport } from "./bench-report.ts";
import { ClusterDrill, FAULTS, type FaultRound } from "./cluster-drill.ts";
import { checkAfterCrash } from "./crash-check.ts";
import { runRoost } from "./demo-space.ts";
import { loseUnsynced, type UnsyncedRound } from "./unsynced-drill.ts";

export interface CrashClusterOptions {
  readonly seed: number;
  /** How often each fault and each step comes. */
  readonly rounds: number;
  readonly json: boolean;
}

/** What a look after a round found that no look before it had. */
interface Found {
  readonly lost: number;
  readonly doubled: number;
}

type Round = Found & (FaultRound | { readonly fault: "kill"; readonly died: string });
type Unsynced = Found & UnsyncedRound & (typeof UNSYNCED)[number];

/** Whose replica does not have what is written, and how many replicas must. */
const UNSYNCED = [
  { of: "log", replicas: 0 },
  { of: "log", replicas: 1 },
  { of: "other", replicas: 0 },
] as const;

/** Faults of a cluster of three masters with a replica each, under a server that is written to and read. */
export async function benchCrashCluster({
  seed,
  rounds,
  json,
}: CrashClusterOptions): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "roost-bench-crash-"));
  const world = join(dir, "world");
  let cluster: RedisCluster | undefined;
  try {
    // Any models: with them a ranking reads features.
    runRoost(["simulate", "--preset", "tiny", "--seed", String(seed), "--out", world]);
    runRoost(["train", "--data", world, "--rankers", "light,heavy", "--metric-rounds", "0"]);
    cluster = await startRedisCluster(3, 1, { durable: true });
    const open = { cluster, modelDir: join(world, "models"), nowMs: Date.now };
    const differing: string[] = [];

    const done: Round[] = [];
    const dataDir = join(dir, "synced");
    const drill = new ClusterDrill({
      ...open,
      dataDir,
      prefix: "drill:",
      random: random(seed, "cluster"),
    });
    const [lost, doubled] = [new Set<string>(), new Set<string>()];
    let records = 0;
    const look = async (): Promise<Found> => {
      const found = await checkAfterCrash(dataDir, drill.load.acknowledged, drill.redisUrl);
      const before = [lost.size, doubled.size] as const;
      for (const id of found.lost) lost.add(id);
      for (const id of found.doubled) doubled.add(id);
      differing.push(...found.differing);
      records = found.records;
      return { lost: lost.size - before[0], doubled: doubled.size - before[1] };
    };
    for (let i = 0; i < rounds; i++) {
      for (const fault of FAULTS)
        for (const round of await drill.endure([fault])) done.push({ ...round, ...(await look()) });
      for (const phase of PHASES) {
        const died = await drill.die(phase);
        done.push({ fault: "kill", died, ...(await look()) });
      }
    }

    const unsynced: Unsynced[] = [];
    for (let i = 0; i < UNSYNCED.length * rounds; i++) {
      const kind = UNSYNCED[i % UNSYNCED.length] as (typeof UNSYNCED)[number];
      const space = join(dir, `unsynced-${i}`);
      const lossy = new ClusterDrill({
        ...open,
        dataDir: space,
        prefix: `unsynced${i}:`,
        redisReplicas: kind.replicas,
        random: random(seed, `unsynced ${i}`),
      });
      const round = await loseUnsynced(lossy, cluster, kind.of);
      const { acknowledged } = lossy.load;
      const found = await checkAfterCrash(space, acknowledged, lossy.redisUrl);
      differing.push(...found.differing);
      const { length } = found.lost;
      unsynced.push({ ...round, ...kind, lost: length, doubled: found.doubled.length });
    }

    writeReport(
      "crash",
      {
        seed,
        on: "cluster of 3 masters with a replica each, appendfsync always",
        rounds: done,
        unsynced_rounds: unsynced,
        differing_states: differing,
        figures: [
          ...figuresOf(done),
          none("states_unlike_replay", differing.length, "states"),
          figure("acknowledged", drill.load.acknowledged.size, "events"),
          figure("records", records, "records"),
          ...unsyncedFigures(unsynced),
        ],
      },
      json,
      differing.map((text) => `${text}\n`).join(""),
    );
  } finally {
    await cluster?.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

const none = (name: string, value: number, unit: string): Figure => ({
  ...figure(name, value, unit),
  asked: "0",
  ok: value === 0,
});
const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

function figuresOf(rounds: readonly Round[]): Figure[] {
  const faults = rounds.filter((round) => round.fault !== "kill");
  const failovers = faults.filter(({ fault }) => fault !== "migration");
  const migrations = faults.filter(({ fault }) => fault === "migration");
  const kills = rounds.filter(({ fault }) => fault === "kill");
  const kinds = [
    ["failover", failovers],
    ["migration", migrations],
    ["kill", kills],
  ] as const;
  const most = (of: readonly FaultRound[], key: "longestRefusalMs" | "longestReadMs"): number =>
    Math.max(0, ...of.map((round) => round[key]));
  return [
    ...kinds.flatMap(([name, of]) => [
      figure(`${name}s`, of.length, "rounds"),
      none(`${name}_lost`, sum(of.map(({ lost }) => lost)), "events"),
      none(`${name}_doubled`, sum(of.map(({ doubled }) => doubled)), "events"),
    ]),
    figure("slots_moved", sum(migrations.map(({ slots = 0 }) => 2 * slots)), "slots"),
    figure("longest_refusal_ms", most(failovers, "longestRefusalMs"), "ms"),
    figure("longest_refusal_migration_ms", most(migrations, "longestRefusalMs"), "ms"),
    figure("reads", sum(faults.map(({ reads }) => reads)), "requests"),
    none("reads_failed", sum(faults.map(({ readsFailed }) => readsFailed)), "requests"),
    figure("reads_degraded", sum(faults.map(({ readsDegraded }) => readsDegraded)), "requests"),
    figure("longest_read_ms", most(faults, "longestReadMs"), "ms"),
  ];
}

function unsyncedFigures(rounds: readonly Unsynced[]): Figure[] {
  const plain = rounds.filter(({ replicas, of }) => replicas === 0 && of === "log");
  const others = rounds.filter(({ of }) => of === "other");
  const strict = rounds.filter(({ replicas }) => replicas > 0);
  const lost = (of: readonly Unsynced[]): number => sum(of.map((round) => round.lost));
  const alone = (of: readonly Unsynced[]): number => sum(of.map((r) => r.acknowledgedAlone));
  const stalled = sum([...plain, ...strict].map(({ acknowledgedStalled }) => acknowledgedStalled));
  return [
    figure("unsynced_rounds", plain.length, "rounds"),
    figure("unsynced_acknowledged_events", alone(plain), "events"),
    figure("unsynced_lost_events", lost(plain), "events"),
    none("unsynced_acknowledged_required", alone(strict), "events"),
    none("unsynced_lost_required", lost(strict), "events"),
    none("acknowledged_while_stalled", stalled, "events"),
    none("unsynced_other_lost_events", lost(others), "events"),
    none("unsynced_doubled", sum(rounds.map(({ doubled }) => doubled)), "events"),
  ];
}
