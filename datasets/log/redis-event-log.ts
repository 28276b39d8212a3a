import { setTimeout as delay } from "node:timers/promises";
import { RoostError } from "../../errors.ts";
import type { Event, LoggedEvent } from "../events.ts";
import { MasterConnection } from "../storage/master-connection.ts";
import type { RedisConnection } from "../storage/redis.ts";
import {
  onlineReplicas,
  type RedisDurability,
  readDurability,
} from "../storage/redis-durability.ts";
import type { AppendResult, EventLog } from "./event-log.ts";
import {
  lostEvents,
  PATIENCE_MS,
  REFUSED,
  REFUSED_PAUSE_MS,
  RedisAppender,
  unavailable,
} from "./redis-appender.ts";
import { SeqWaiters } from "./seq-waiters.ts";
import { decodeRecord, encodeRecord, eventIdKey } from "./stored-record.ts";
import { BOUNDS_SCRIPT, START_SCRIPT } from "./stream-scripts.ts";

/** One script judges a whole batch while Redis does nothing else. */
const MOST_APPENDED = 1_000;
/** Records read or trimmed by one command: others are served in between. */
const PAGE = 1_000;
/** Below the time after which a command counts as failed. */
const FOLLOW_BLOCK_MS = 1_000;
const FOLLOW_RETRY_MS = 50;
const REPLICA_WAIT_MS = 500;

export interface RedisEventLogOptions {
  /** Which partition of the log. */
  readonly partition?: number;
  /** Last seq of the segments that the log continues; only a log that is behind it moves up. */
  readonly startAfterSeq?: number;
  /** Most records held; an append beyond it is refused. Any number when absent. */
  readonly maxLength?: number;
  /** How long a replica may take to copy an append before that is refused, at most 800 ms: two may wait in turn. */
  readonly replicaWaitMs?: number;
  /**
   * Replicas that an append, and so the opening, needs copies on, connected or not. 0: one while any is connected, and while
   * none is the server's own disk is enough.
   */
  readonly replicas?: number;
  /** Told when the last replica has gone and appends are acknowledged without a copy. */
  readonly onAlone?: () => void;
  /** Told when Redis has lost events that were acknowledged; this log is at its end then. */
  readonly onLost?: () => void;
}

/**
 * `append` takes at most 1,000 events, and `LOG_FULL`, `NOT_REPLICATED` or `REDIS_UNAVAILABLE` ask for the same events
 * again, later. Only after the last two may they have been added already, which their event ids make harmless. `BAD_STORE`
 * ends this log: Redis has lost events that were acknowledged.
 */
export interface RedisEventLog extends EventLog {
  /** What an acknowledgement is worth on the server that held the partition when the log was opened. */
  readonly durability: RedisDurability;
}

/** The one partition of a space's log. */
export const LOG_PARTITION = 0;

/** Keys of one partition; all of them lie in one slot of a cluster. */
export const partitionKey = (prefix: string, partition: number, name: string): string =>
  `${prefix}{p${partition}}${name}`;
/** The key's name under which an event id is recognised. */
export const eventIdName = (idKey: string): string => `id:${idKey}`;

/**
 * Opens one partition of the event log as a Redis Stream. Any number of processes may append and read. An entry's id is
 * `<seq>-0`. Appends go over a connection of their own, and another one notices what others append; `connection` carries
 * reads and trims, and stays open on `close`.
 * @throws REDIS_UNAVAILABLE, BAD_STORE when `startAfterSeq` is past events that are still in it
 */
export async function openRedisEventLog(
  connection: RedisConnection,
  options: RedisEventLogOptions = {},
): Promise<RedisEventLog> {
  const log = new RedisStreamLog(connection, options);
  try {
    await log.open(options.startAfterSeq ?? 0);
    return log;
  } catch (error) {
    await log.close();
    throw unavailable("the event log cannot be opened", error);
  }
}

class RedisStreamLog implements RedisEventLog {
  readonly #shared: RedisConnection;
  readonly #key: (name: string) => string;
  readonly #logKey: string;
  readonly #counterKey: string;
  readonly #appender: RedisAppender;
  /** The connection that blocks until something is appended. */
  readonly #listener: MasterConnection;
  readonly #waiters = new SeqWaiters();
  readonly #onLost: () => void;
  readonly #replicas: number;
  durability: RedisDurability = {
    level: "unknown",
    reason: "not opened",
    replicas: undefined,
  };
  #first = 1;
  /** Newest record that is known to be durable; later ones are not shown. */
  #last = 0;
  #lost: RoostError | undefined;
  #closed = false;

  constructor(connection: RedisConnection, options: RedisEventLogOptions) {
    this.#shared = connection;
    this.#key = (name) => partitionKey(connection.target.prefix, options.partition ?? 0, name);
    this.#logKey = this.#key("log");
    this.#counterKey = this.#key("seq");
    this.#listener = new MasterConnection(connection, this.#logKey);
    this.#replicas = options.replicas ?? 0;
    this.#onLost = options.onLost ?? (() => {});
    this.#appender = new RedisAppender(new MasterConnection(connection, this.#logKey), {
      logKey: this.#logKey,
      counterKey: this.#counterKey,
      maxLength: options.maxLength ?? 0,
      replicaWaitMs: options.replicaWaitMs ?? REPLICA_WAIT_MS,
      replicas: options.replicas ?? 0,
      onAlone: options.onAlone ?? (() => {}),
      durableSeq: () => this.#last,
    });
  }

  async open(startAfterSeq: number): Promise<void> {
    this.durability = await readDurability(await this.#listener.client());
    await this.#ask(START_SCRIPT, startAfterSeq).catch((error: Error) => {
      const [word, last] = error.message.split(" ");
      if (word !== "LOGBEHIND") throw error;
      throw new RoostError(
        "BAD_STORE",
        `the log ends at seq ${last} and is not rolled, but segments end at ${startAfterSeq}`,
      );
    });
    await this.#confirm();
    this.#begins(beginningOf((await this.#ask(BOUNDS_SCRIPT)) as Bounds));
    void this.#follow();
  }

  /** Runs a script where the partition is, though it be on its way to another server. */
  async #ask(script: string, ...args: number[]): Promise<unknown> {
    for (const until = performance.now() + PATIENCE_MS; ; ) {
      const client = await this.#listener.client();
      try {
        return await client.eval(script, 2, this.#logKey, this.#counterKey, ...args);
      } catch (error) {
        if (!REFUSED.test((error as Error).message) || performance.now() > until) throw error;
        this.#listener.moved();
        await delay(REFUSED_PAUSE_MS);
      }
    }
  }

  async append(events: readonly Event[], nowMs: number): Promise<AppendResult[]> {
    if (this.#lost) throw this.#lost;
    if (events.length > MOST_APPENDED)
      throw new RoostError("BAD_ARGUMENT", `an append takes at most ${MOST_APPENDED} events`);
    if (events.length === 0) return [];
    const { last, seqs } = await this.#appender
      .append({
        records: events.map(encodeRecord),
        idKeys: events.map((event) => {
          const id = eventIdKey(event);
          return id === undefined ? undefined : this.#key(eventIdName(id));
        }),
        nowMs,
      })
      .catch((error: RoostError) => {
        if (error.code === "BAD_STORE") this.#lose(error);
        throw error;
      });
    this.#reached(last);
    return seqs.map((seq) => ({ seq: Math.abs(seq), duplicate: seq < 0 }));
  }

  /** Makes what anybody appended so far durable, by the guarantees of an append, and takes note of it. */
  async #confirm(): Promise<void> {
    const { last } = await this.#appender.append({ records: [], idKeys: [], nowMs: 0 });
    this.#reached(last);
  }

  async read({ fromSeq, limit }: { fromSeq: number; limit: number }): Promise<LoggedEvent[]> {
    if (this.#lost) throw this.#lost;
    const events: LoggedEvent[] = [];
    if (limit <= 0) return events;
    const end = this.#last;
    let next = Math.max(1, fromSeq);
    while (events.length < limit && next <= end) {
      const count = Math.min(PAGE, limit - events.length);
      const entries = await this.#shared.client
        .xrange(this.#logKey, `${next}-0`, `${end}-0`, "COUNT", count)
        .catch((error) => {
          throw unavailable(this.#logKey, error);
        });
      const found = entries[0] === undefined ? end + 1 : seqOf(entries[0]);
      if (found > next) throw this.#trimmed(fromSeq, found);
      for (const entry of entries) events.push(decodeRecord(seqOf(entry), entry[1][1] as string));
      next += entries.length;
    }
    const found = events[0]?.seq ?? end + 1;
    if (fromSeq < found) throw this.#trimmed(fromSeq, Math.max(found, this.#first));
    return events;
  }

  #trimmed(fromSeq: number, first: number): RoostError {
    this.#begins(first);
    return new RoostError("LOG_TRIMMED", `seq ${fromSeq}; the log begins at ${first}`);
  }

  firstSeq(): number {
    return this.#first;
  }

  lastSeq(): number {
    return this.#last;
  }

  async waitFor(seq: number, signal?: AbortSignal): Promise<void> {
    if (this.#last < seq) await this.#waiters.wait(seq, signal);
  }

  async trim(throughSeq: number): Promise<void> {
    const end = Math.min(throughSeq, this.#last) + 1;
    for (let next = Math.min(this.#first + PAGE, end); ; next = Math.min(next + PAGE, end)) {
      await this.#shared.client.xtrim(this.#logKey, "MINID", "=", next).catch((error) => {
        throw unavailable(this.#logKey, error);
      });
      this.#begins(next);
      if (next >= end) return;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#waiters.close();
    this.#listener.close();
    await this.#appender.close();
  }

  #lose(error: RoostError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#waiters.close(error);
    this.#onLost();
  }

  #reached(last: number): void {
    this.#last = Math.max(this.#last, last);
    this.#waiters.reached(this.#last);
  }

  /** Who trimmed up to there knew that it was durable. */
  #begins(first: number): void {
    this.#first = Math.max(this.#first, first);
    if (this.#first - 1 > this.#last) this.#reached(this.#first - 1);
  }

  /** Notices what other processes append and trim, until the log closes. */
  async #follow(): Promise<void> {
    while (!this.#closed && !this.#lost) {
      try {
        await this.#notice();
      } catch {
        // Its own connection is made again; appends and reads tell their callers by themselves.
        await delay(FOLLOW_RETRY_MS, undefined, { ref: false });
      }
    }
  }

  async #notice(): Promise<void> {
    const client = await this.#listener.client();
    const from = this.#last;
    const replies = await client
      .pipeline()
      .xread("COUNT", 1, "BLOCK", FOLLOW_BLOCK_MS, "STREAMS", this.#logKey, `${from}-0`)
      .eval(BOUNDS_SCRIPT, 2, this.#logKey, this.#counterKey)
      .info("replication")
      .exec();
    const [[blocked], [unread, bounds], [, info]] = replies as [
      [Error | null, unknown],
      [Error | null, Bounds],
      [Error | null, string | undefined],
    ];
    const error = blocked ?? unread;
    if (error) {
      if (REFUSED.test(error.message)) this.#listener.moved();
      throw error;
    }
    const [last] = bounds;
    if (last < from) {
      const lost = lostEvents(this.#logKey, last, from);
      this.#lose(lost);
      throw lost;
    }
    if (last > this.#last) {
      // Where there is a replica, or must be, what others appended may not be on it yet and could still be taken back.
      if (this.#replicas > 0 || onlineReplicas(info ?? "") > 0) await this.#confirm();
      else this.#reached(last);
    }
    this.#begins(beginningOf(bounds));
  }
}

/** What `BOUNDS_SCRIPT` tells. */
type Bounds = [last: number, oldest: number];

const beginningOf = ([last, oldest]: Bounds): number => (oldest === 0 ? last + 1 : oldest);

const seqOf = ([id]: [id: string, fields: string[]]): number =>
  Number(id.slice(0, id.indexOf("-")));
