import { setTimeout as delay } from "node:timers/promises";
import type { Event } from "../../datasets/events.ts";
import type { Random } from "../../datasets/random.ts";
import { CrashLoad, USERS } from "./crash-load.ts";
import { type CrashServer, sendEvents } from "./crash-process.ts";

const WRITERS = 6;
const READERS = 2;
/** Pause of a client that was refused, as Retry-After would ask for more. */
const REFUSED_PAUSE_MS = 20;
const LOOK_MS = 5;
/** Longer than any fail-over on a busy machine. */
const PATIENCE_MS = 120_000;

/** What clients met. */
export interface LoadFigures {
  readonly acknowledged: number;
  readonly refusals: number;
  /** Longest time in which no event was acknowledged. */
  readonly longestRefusalMs: number;
  readonly reads: number;
  /** Answers that name something that was done without. */
  readonly readsDegraded: number;
  readonly readsFailed: number;
  readonly longestReadMs: number;
  /** What failed reads were answered with, the first few. */
  readonly failures: readonly string[];
}

export interface RunningLoad {
  /** Resolves when so many more events are acknowledged. */
  more(events: number): Promise<void>;
  stop(): Promise<LoadFigures>;
}

/**
 * Clients that write and read all the time, and remember what was acknowledged. A batch that nobody answered, or that was
 * refused, is sent again under the same event ids, to the next server if need be.
 */
export class SteadyLoad {
  readonly acknowledged = new Set<string>();
  readonly #events: CrashLoad;
  readonly #random: Random;
  readonly #nowMs: () => number;
  readonly #unanswered: Event[][] = [];

  constructor(random: Random, nowMs: () => number) {
    this.#events = new CrashLoad(random);
    this.#random = random;
    this.#nowMs = nowMs;
  }

  /** Loads a server until it is stopped or the server ends. */
  begin(server: CrashServer): RunningLoad {
    const figures = {
      acknowledged: 0,
      refusals: 0,
      longestRefusalMs: 0,
      reads: 0,
      readsDegraded: 0,
      readsFailed: 0,
      longestReadMs: 0,
      failures: [] as string[],
    };
    let stopped = false;
    let acknowledgedAtMs = performance.now();
    const goesOn = (): boolean => !stopped && !server.ended();
    const acknowledge = (ids: readonly string[]): void => {
      for (const id of ids) this.acknowledged.add(id);
      figures.acknowledged += ids.length;
      const nowMs = performance.now();
      figures.longestRefusalMs = Math.max(figures.longestRefusalMs, nowMs - acknowledgedAtMs);
      acknowledgedAtMs = nowMs;
    };
    const write = async (): Promise<void> => {
      while (goesOn()) {
        const batch = this.#unanswered.pop() ?? this.#events.batch(this.#nowMs());
        const ids = await sendEvents(server.port, batch).catch(() => undefined);
        if (ids !== undefined) acknowledge(ids);
        else {
          figures.refusals++;
          this.#unanswered.push(batch);
          await delay(REFUSED_PAUSE_MS);
        }
      }
    };
    const read = async (): Promise<void> => {
      while (goesOn()) {
        const beganMs = performance.now();
        const answer = await this.#read(server.port).catch((error: Error) => error.message);
        // Of a server that was ended nobody expects an answer.
        if (server.ended()) return;
        figures.reads++;
        figures.longestReadMs = Math.max(figures.longestReadMs, performance.now() - beganMs);
        if (typeof answer !== "string") figures.readsDegraded += answer.degraded ? 1 : 0;
        else if (++figures.readsFailed <= 3) figures.failures.push(answer);
      }
    };
    const clients = Promise.all([
      ...Array.from({ length: WRITERS }, write),
      ...Array.from({ length: READERS }, read),
    ]);
    clients.catch(() => {});
    return {
      more: async (events) => {
        const enough = figures.acknowledged + events;
        const end = performance.now() + PATIENCE_MS;
        while (figures.acknowledged < enough) {
          if (server.ended()) throw new Error("the server ended under load");
          if (performance.now() > end) throw new Error("no events are acknowledged any more");
          await delay(LOOK_MS);
        }
      },
      stop: async () => {
        stopped = true;
        await clients;
        return figures;
      },
    };
  }

  /** A ranking or a following timeline; a text is what it failed with. */
  async #read(port: number): Promise<{ readonly degraded: boolean } | string> {
    const user_id = String(1 + this.#random.below(USERS));
    const base = `http://127.0.0.1:${port}/v1`;
    const answer =
      this.#random.next() < 0.5
        ? await fetch(`${base}/timelines/following/${user_id}`)
        : await fetch(`${base}/rank`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ user_id, product: "for_you", limit: 20 }),
          });
    const body = (await answer.json()) as { degraded?: readonly unknown[] };
    if (answer.status !== 200) return `${answer.status} ${JSON.stringify(body).slice(0, 300)}`;
    return { degraded: (body.degraded?.length ?? 0) > 0 };
  }
}
