import type { Phase } from "../../datasets/phases.ts";
import type { Random } from "../../datasets/random.ts";
import {
  masterOf,
  mastersOf,
  moveSlots,
  replaceMaster,
} from "../../datasets/storage/own-cluster.ts";
import type { RedisCluster, RedisServer } from "../../datasets/storage/own-redis.ts";
import { deathIn, PATIENCE_MS } from "./crash-drill.ts";
import { type CrashServer, startCrashServer } from "./crash-process.ts";
import { type LoadFigures, SteadyLoad } from "./steady-load.ts";

/** What befalls the cluster while a server on it is loaded. */
export const FAULTS = ["migration", "log_failover", "other_failover"] as const;
export type Fault = (typeof FAULTS)[number];

export interface ClusterDrillOptions {
  readonly cluster: RedisCluster;
  readonly dataDir: string;
  readonly prefix: string;
  readonly modelDir?: string | undefined;
  readonly redisReplicas?: number | undefined;
  readonly nodeArgs?: readonly string[] | undefined;
  readonly random: Random;
  readonly nowMs: () => number;
}

/** What clients met from the fault's beginning to the cluster's rest. */
export interface FaultRound extends LoadFigures {
  readonly fault: Fault;
  /** Slots that were moved there and back. */
  readonly slots?: number;
}

const BEFORE = 100;
const AFTER = 200;
/** Acknowledged while slots are elsewhere, before they come back. */
const BETWEEN = 50;

/** A space on a cluster, with clients that keep what was acknowledged from one of its servers to the next. */
export class ClusterDrill {
  readonly load: SteadyLoad;
  readonly redisUrl: string;
  readonly #options: ClusterDrillOptions;

  constructor(options: ClusterDrillOptions) {
    this.#options = options;
    this.load = new SteadyLoad(options.random, options.nowMs);
    this.redisUrl = `${options.cluster.url}?prefix=${options.prefix}`;
  }

  start(phase?: Phase): Promise<CrashServer> {
    const { redisUrl } = this;
    const death = phase && { death: deathIn(phase, this.#options.random) };
    return startCrashServer({ ...this.#options, redisUrl, ...death });
  }

  /** The master of the log's stream. */
  logMaster(): RedisServer {
    return masterOf(this.#options.cluster, `${this.#options.prefix}{p0}log`);
  }

  /** Lets these befall one server after the other, and ends it as an operator does, so that it saves what it has in memory. */
  async endure(faults: readonly Fault[]): Promise<FaultRound[]> {
    const server = await this.start();
    const rounds: FaultRound[] = [];
    try {
      for (const fault of faults) {
        const load = this.load.begin(server);
        await load.more(BEFORE);
        const slots = await this.#befall(fault, (events) => load.more(events));
        await load.more(AFTER);
        rounds.push({ fault, ...(slots !== undefined && { slots }), ...(await load.stop()) });
      }
      await endServer(server);
    } finally {
      server.child.kill("SIGKILL");
    }
    return rounds;
  }

  async #befall(
    fault: Fault,
    more: (events: number) => Promise<void>,
  ): Promise<number | undefined> {
    const { cluster } = this.#options;
    const log = this.logMaster();
    const others = mastersOf(cluster).filter((server) => server !== log);
    const other = others[this.#options.random.below(others.length)] as RedisServer;
    if (fault !== "migration")
      return void (await replaceMaster(cluster, fault === "log_failover" ? log : other));
    const slots = await moveSlots(cluster, log, other);
    await more(BETWEEN);
    await moveSlots(cluster, other, log, slots);
    return slots.length;
  }

  /** Lets a server kill itself in a step, under load. @returns the step in which it died */
  async die(phase: Phase): Promise<string> {
    const server = await this.start(phase);
    const patience = setTimeout(() => server.child.kill("SIGKILL"), PATIENCE_MS);
    const load = this.load.begin(server);
    const died = await server.died;
    clearTimeout(patience);
    await load.stop();
    return died;
  }
}

export async function endServer(server: CrashServer): Promise<void> {
  server.child.kill("SIGTERM");
  await server.died;
  if (server.child.exitCode !== 0)
    throw new Error(`a server that was to end ended with ${server.child.exitCode}`);
}
