import { setTimeout as delay } from "node:timers/promises";
import type { Event } from "../../datasets/events.ts";
import type { Random } from "../../datasets/random.ts";
import { CrashLoad } from "./crash-load.ts";
import { type CrashServer, sendEvents } from "./crash-process.ts";

const WRITERS = 6;
/** Pause of a writer that was refused, or whose server is being replaced. */
const REFUSED_PAUSE_MS = 20;
const LOOK_MS = 5;
/** Longer than a busy machine takes to write a few hundred events. */
const PATIENCE_MS = 60_000;

interface Writer {
  /** Ids that were acknowledged, in the order of their sending. */
  readonly acknowledged: string[];
  /** Ids of each batch that was sent. */
  readonly sent: (readonly string[])[];
  /** Sent, perhaps more than once, and not acknowledged. */
  pending: readonly Event[] | undefined;
}

/**
 * Writers that send all the time, each one batch after the other: a batch that nobody acknowledged is sent again, to the next
 * server if need be, before the next one. So each writer's events have an order that the log must keep.
 */
export class OrderedLoad {
  readonly acknowledged = new Set<string>();
  /** Batches that were sent again. */
  repeated = 0;
  readonly #events: CrashLoad;
  readonly #nowMs: () => number;
  readonly #writers: readonly Writer[] = Array.from({ length: WRITERS }, () => ({
    acknowledged: [],
    sent: [],
    pending: undefined,
  }));

  constructor(random: Random, nowMs: () => number) {
    this.#events = new CrashLoad(random);
    this.#nowMs = nowMs;
  }

  /** What each writer had acknowledged, in the order that the log must have it in. */
  orders(): (readonly string[])[] {
    return this.#writers.map(({ acknowledged }) => acknowledged);
  }

  /** How many batches each writer has sent. */
  sent(): readonly number[] {
    return this.#writers.map(({ sent }) => sent.length);
  }

  /** Ids of each writer's last batch of so many, and of its next one, if that is sent by now. */
  around(sent: readonly number[]): readonly string[] {
    return this.#writers.flatMap((writer, i) => {
      const count = sent[i] as number;
      return writer.sent.slice(Math.max(0, count - 1), count + 1).flat();
    });
  }

  /** Loads a server until it ends or the load is stopped. */
  begin(server: CrashServer): { more(events: number): Promise<void>; stop(): Promise<void> } {
    let stopped = false;
    const write = async (writer: Writer): Promise<void> => {
      while (!stopped && !server.ended()) {
        const again = writer.pending;
        const batch = again ?? this.#events.batch(this.#nowMs());
        writer.pending = batch;
        if (again !== undefined) this.repeated++;
        else writer.sent.push(batch.map(({ event_id }) => String(event_id)));
        const ids = await sendEvents(server.port, batch).catch(() => undefined);
        if (ids?.length !== batch.length) {
          await delay(REFUSED_PAUSE_MS);
          continue;
        }
        writer.pending = undefined;
        writer.acknowledged.push(...ids);
        for (const id of ids) this.acknowledged.add(id);
      }
    };
    const all = Promise.all(this.#writers.map(write));
    return {
      more: async (events) => {
        const enough = this.acknowledged.size + events;
        const end = performance.now() + PATIENCE_MS;
        while (this.acknowledged.size < enough && !server.ended()) {
          if (performance.now() > end) throw new Error("no events are acknowledged any more");
          await delay(LOOK_MS);
        }
      },
      stop: async () => {
        stopped = true;
        await all;
      },
    };
  }
}
