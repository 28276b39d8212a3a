import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { EventLog } from "../../datasets/log/event-log.ts";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import type { SpoolPhase } from "../../datasets/phases.ts";
import type { Random } from "../../datasets/random.ts";
import type { RedisServer } from "../../datasets/storage/own-redis.ts";
import { PATIENCE_MS } from "./crash-drill.ts";
import {
  type CrashServer,
  type CrashServerOptions,
  type Death,
  startCrashServer,
} from "./crash-process.ts";
import { OrderedLoad } from "./ordered-load.ts";

/** Times a step may begin before the one in which the server dies. The first reading is before anything is appended. */
const MOST_BEGUN: Readonly<Record<SpoolPhase, number>> = {
  spool_take: 20,
  spool_read: 1,
  spool_hand_on: 4,
  spool_trim: 3,
  spool_out: 1,
};
/** How far into it, at most: readings and trims are over in no time. */
const MOST_DELAY_MS: Readonly<Record<SpoolPhase, number>> = {
  spool_take: 3,
  spool_read: 0,
  spool_hand_on: 3,
  spool_trim: 1,
  spool_out: 20,
};
/** Small, so that what comes in a second of an outage goes on in several turns; more than comes in while a turn takes. */
const SPOOL_BATCH = 100;
const BEFORE = 60;
const ASIDE = 600;
const LOOK_MS = 10;
/** Redis comes back so long after the start of a server begins, at most: that waits ten seconds for it. */
const MOST_LATE_MS = 3_000;

/** An order of events that the log must keep. */
export interface KeptOrder {
  readonly ids: readonly string[];
  /** May have reached the log in another order before they came aside. */
  readonly except: ReadonlySet<string>;
}

export interface SpoolRound {
  readonly step: SpoolPhase;
  /** Whether Redis was killed, or stood still, under this server; undefined when it began with what the one before had left. */
  readonly outage: "killed" | "paused" | undefined;
  /** Whether the server, at its start, was there before Redis. */
  readonly redisLate: boolean;
  /** The step in which it died, or `outside`. */
  readonly died: string;
  /** Events that it left aside. */
  readonly left: number;
}

export interface SpoolDrillOptions extends Pick<CrashServerOptions, "nodeArgs" | "server"> {
  readonly dataDir: string;
  readonly redis: RedisServer;
  readonly random: Random;
  readonly nowMs: () => number;
  /** Share of the servers that begin with something aside and meet an outage of their own all the same, 0–1. */
  readonly outageShare?: number;
  /** Share of the outages in which Redis stands still, 0–1; the others kill it. */
  readonly pauseShare?: number;
  /** Share of the starts after which Redis comes back, of those that find it gone, 0–1. */
  readonly lateShare?: number;
}

/**
 * Kills servers that keep events aside while Redis is gone, one in each step of that after the other, and starts the next on
 * what it left, under load that goes on.
 */
export class SpoolDrill {
  readonly load: OrderedLoad;
  /** Orders of what was seen aside. */
  readonly kept: KeptOrder[] = [];
  readonly #options: Required<Omit<SpoolDrillOptions, "nodeArgs" | "server">> & SpoolDrillOptions;
  #gone: "killed" | "paused" | undefined;
  /** What had been sent each time that Redis went: what was aside after it may be so still. */
  readonly #losses: (readonly number[])[] = [];
  #left = 0;

  constructor(options: SpoolDrillOptions) {
    this.#options = { outageShare: 0.5, pauseShare: 0.3, lateShare: 0.5, ...options };
    this.load = new OrderedLoad(options.random, options.nowMs);
  }

  /** One kill. In the order of the steps each leaves enough aside for the next to happen in a server that has just started. */
  async die(step: SpoolPhase): Promise<SpoolRound> {
    const { random, outageShare } = this.#options;
    const own = step === "spool_take" || this.#left === 0 || random.next() < outageShare;
    const death = this.#deathIn(step, own);
    const { server, redisLate } = await this.#start(death);
    const load = this.load.begin(server);
    const patience = setTimeout(() => server.child.kill("SIGKILL"), PATIENCE_MS);
    let outage: SpoolRound["outage"];
    try {
      if (own && !server.ended()) {
        await load.more(BEFORE);
        outage = await this.#lose();
        await load.more(ASIDE);
        await this.#note();
        patience.refresh();
        server.child.kill("SIGUSR2");
        if (step !== "spool_take") await this.#giveBack();
      }
      const died = await server.died;
      this.#left = await this.#note();
      return { step, outage, redisLate, died, left: this.#left };
    } finally {
      clearTimeout(patience);
      server.child.kill("SIGKILL");
      await load.stop();
    }
  }

  /** Lets a server hand on all that is aside, under load, and ends it. */
  async settle(): Promise<void> {
    const { server } = await this.#start(undefined);
    const load = this.load.begin(server);
    try {
      await load.more(BEFORE);
      await this.#nothingAside();
      // What comes while the last goes on joins it: without load nothing does.
      await load.stop();
      await this.#nothingAside();
    } finally {
      server.child.kill("SIGKILL");
      await load.stop();
      await server.died;
    }
    this.#left = 0;
  }

  async #nothingAside(): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while ((await this.#seen((spool) => spool.lastSeq() - spool.firstSeq() + 1)) > 0) {
      if (performance.now() > end) throw new Error("events stay aside");
      await delay(LOOK_MS);
    }
  }

  #deathIn(step: SpoolPhase, onSignal: boolean): Death {
    const { random } = this.#options;
    const nth = 1 + random.below(MOST_BEGUN[step]);
    const delayMs = random.below(1 + MOST_DELAY_MS[step]);
    // What comes directly after the last of what was aside is on its way by then.
    return { phase: step, nth, delayMs, onSignal, evenAfter: step === "spool_out" };
  }

  async #start(
    death: Death | undefined,
  ): Promise<{ readonly server: CrashServer; readonly redisLate: boolean }> {
    const { dataDir, redis, random, nodeArgs, server: kind, lateShare } = this.#options;
    const redisLate = this.#gone !== undefined && random.next() < lateShare;
    if (!redisLate) await this.#giveBack();
    const starting = startCrashServer({
      dataDir,
      redisUrl: redis.url,
      spoolBatch: SPOOL_BATCH,
      nodeArgs,
      server: kind,
      death,
    });
    if (redisLate) {
      starting.catch(() => {});
      await delay(random.below(MOST_LATE_MS));
      await this.#giveBack();
    }
    return { server: await starting, redisLate };
  }

  async #lose(): Promise<"killed" | "paused"> {
    const { redis, random, pauseShare } = this.#options;
    this.#gone = random.next() < pauseShare ? "paused" : "killed";
    this.#losses.push(this.load.sent());
    if (this.#gone === "killed") await redis.kill();
    else redis.pause();
    return this.#gone;
  }

  async #giveBack(): Promise<void> {
    const { redis } = this.#options;
    const gone = this.#gone;
    this.#gone = undefined;
    if (gone === "killed") await redis.restart();
    if (gone === "paused") redis.resume();
  }

  /**
   * What may have reached the log before it came aside: of each writer the batch that was on its way when Redis went, and the
   * next one, which a Redis that stands still takes when it goes on. By then the server knows.
   */
  #onTheirWay(): ReadonlySet<string> {
    return new Set(this.#losses.flatMap((sent) => this.load.around(sent)));
  }

  /** Remembers the order of what is aside. Nothing may be going on. @returns how many that are */
  async #note(): Promise<number> {
    const events = await this.#seen((spool) =>
      spool.read({ fromSeq: spool.firstSeq(), limit: Number.POSITIVE_INFINITY }),
    );
    const ids = events.map(({ event_id }) => String(event_id));
    this.kept.push({ ids, except: this.#onTheirWay() });
    return ids.length;
  }

  /** Looks into what is aside, beside the server. */
  async #seen<T>(look: (spool: EventLog) => T | Promise<T>): Promise<T> {
    const spool = openLmdbEventLog(join(this.#options.dataDir, "spool"), { readOnly: true });
    try {
      return await look(spool);
    } finally {
      await spool.close();
    }
  }
}
