import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { RoostError } from "../../errors.ts";
import type { MasterConnection } from "../storage/master-connection.ts";
import { onlineReplicas } from "../storage/redis-durability.ts";
import { DEDUPLICATION_WINDOW_MS } from "./event-log.ts";
import { APPEND_SCRIPT } from "./stream-scripts.ts";

/** How long a server that refuses for the moment (a slot on its way, a replica becoming master) is asked again. */
export const PATIENCE_MS = 2_000;
export const REFUSED_PAUSE_MS = 25;
/** Clear refusals: nothing was done, and soon the answer may be another. */
export const REFUSED =
  /^(MOVED|ASK|TRYAGAIN|NOSCRIPT|LOADING|CLUSTERDOWN|READONLY|MASTERDOWN|UNBLOCKED)\b/;
// The caller's clock decides; this one only bounds memory, and leaves room for a clock that lags.
export const ID_EXPIRY_MS = 2 * DEDUPLICATION_WINDOW_MS;
/** What is sent at once, in characters of records: a reply is not to wait for megabytes of others. */
const MOST_SENT = 1 << 20;

/** Round trips: one is made ready while the other is written. */
const MOST_TRIPS = 2;

/** Events as they are stored. */
export interface Batch {
  readonly records: readonly string[];
  /** The key of each event's id; undefined without one. */
  readonly idKeys: readonly (string | undefined)[];
  readonly nowMs: number;
}

/** What became of a batch. */
export interface Appended {
  readonly last: number;
  /** The seq of each event, negative for a duplicate. */
  readonly seqs: readonly number[];
}

export interface AppenderOptions {
  readonly logKey: string;
  readonly counterKey: string;
  /** Most records held; 0 for any number. */
  readonly maxLength: number;
  /** How long a replica may take to have a copy. */
  readonly replicaWaitMs: number;
  /** Replicas that must have a copy, connected or not; 0: one while any is connected. */
  readonly replicas: number;
  /** Told when the last replica has gone and none must have a copy. */
  onAlone(): void;
  /** A seq that is known to be durable: a server that ends before it has lost events and is not written to. */
  durableSeq(): number;
}

interface Waiting {
  readonly batch: Batch;
  readonly size: number;
  resolve(appended: Appended): void;
  reject(error: unknown): void;
}

/**
 * Writes batches over one connection, few round trips at a time: what comes while those are under way goes with the next,
 * so that it shares the sync to disk and the wait for the replica.
 */
export class RedisAppender {
  readonly #master: MasterConnection;
  readonly #options: AppenderOptions;
  #waiting: Waiting[] = [];
  readonly #sending = new Set<Promise<void>>();
  #sha: string | undefined;
  #trips = 0;
  #replicas = 0;
  #closed = false;

  constructor(master: MasterConnection, options: AppenderOptions) {
    this.#master = master;
    this.#options = options;
  }

  /**
   * Resolves when the batch is durable.
   * @throws REDIS_UNAVAILABLE when it may or may not have been added, NOT_REPLICATED, LOG_FULL, BAD_STORE
   */
  append(batch: Batch): Promise<Appended> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closed());
      const size = batch.records.reduce((sum, record) => sum + record.length, 0);
      this.#waiting.push({ batch, size, resolve, reject });
      if (this.#trips < MOST_TRIPS) {
        const sending = this.#sendAll().finally(() => this.#sending.delete(sending));
        this.#sending.add(sending);
      }
    });
  }

  /** Lets what was sent be answered; what waits is refused. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#refuseWaiting(closed());
    await Promise.all(this.#sending);
    this.#master.close();
  }

  async #sendAll(): Promise<void> {
    this.#trips++;
    while (this.#waiting.length > 0) {
      let count = 0;
      for (let size = 0; count < this.#waiting.length; count++) {
        size += this.#waiting[count]?.size ?? 0;
        if (count > 0 && size > MOST_SENT) break;
      }
      const sent = this.#waiting.splice(0, count);
      try {
        await this.#send(sent);
      } catch (error) {
        const told = unavailable(this.#options.logKey, error);
        for (const { reject } of sent) reject(told);
        // They would wait for the same server; whoever sent them knows better whether to.
        this.#refuseWaiting(told);
      }
    }
    // In the turn in which nothing was found waiting, so that what comes next begins anew.
    this.#trips--;
  }

  #refuseWaiting(error: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  /** Settles every one, or throws where the connection failed. */
  async #send(sent: readonly Waiting[]): Promise<void> {
    const until = performance.now() + PATIENCE_MS;
    for (let left = sent; left.length > 0; ) {
      const { refused, refusal } = await this.#sendOnce(await this.#master.client(), left);
      left = refused;
      if (refusal === undefined) continue;
      if (performance.now() > until) throw refusal;
      if (/^(MOVED|READONLY)/.test(refusal.message)) this.#master.moved();
      if (/^NOSCRIPT/.test(refusal.message)) this.#sha = undefined;
      else await delay(REFUSED_PAUSE_MS);
    }
  }

  async #sendOnce(
    client: Redis,
    sent: readonly Waiting[],
  ): Promise<{ refused: Waiting[]; refusal?: Error }> {
    this.#sha ??= (await client.script("LOAD", APPEND_SCRIPT)) as string;
    const pipeline = client.pipeline();
    for (const { batch } of sent) {
      const { keys, args } = this.#call(batch);
      pipeline.evalsha(this.#sha, keys.length, ...keys, ...args);
    }
    const { replicaWaitMs, replicas } = this.#options;
    const awaited = Math.max(replicas, Math.min(1, this.#replicas));
    if (awaited > 0) pipeline.wait(awaited, replicaWaitMs);
    pipeline.info("replication");
    const replies = (await pipeline.exec()) as [Error | null, unknown][];
    // Without every answer nothing is certain: neither what was done nor where it was copied to.
    for (const [error] of replies) if (error !== null && error.name !== "ReplyError") throw error;

    const done: { waiting: Waiting; appended: Appended }[] = [];
    const refused: Waiting[] = [];
    let refusal: Error | undefined;
    for (const [i, waiting] of sent.entries()) {
      const [error, reply] = replies[i] as [Error | null, number[]];
      if (error === null) {
        const [last, ...seqs] = reply as [number, ...number[]];
        done.push({ waiting, appended: { last, seqs } });
      } else if (REFUSED.test(error.message)) {
        refusal ??= error;
        refused.push(waiting);
      } else waiting.reject(this.#told(error));
    }
    if (done.length > 0) {
      const copied = await this.#copied(client, replies.slice(sent.length), awaited);
      for (const { waiting, appended } of done)
        if (copied) waiting.resolve(appended);
        else waiting.reject(new RoostError("NOT_REPLICATED", `within ${replicaWaitMs} ms`));
    }
    return refusal ? { refused, refusal } : { refused };
  }

  #call({ records, idKeys, nowMs }: Batch): { keys: string[]; args: (string | number)[] } {
    const { logKey, counterKey, maxLength, durableSeq } = this.#options;
    const keys = [logKey, counterKey];
    const places = new Map<string, number>();
    const args = [durableSeq(), nowMs, DEDUPLICATION_WINDOW_MS, ID_EXPIRY_MS, maxLength] as (
      | string
      | number
    )[];
    for (const [i, record] of records.entries()) {
      const key = idKeys[i];
      let place = key === undefined ? 0 : places.get(key);
      if (place === undefined) {
        place = keys.push(key as string);
        places.set(key as string, place);
      }
      args.push(record, place);
    }
    return { keys, args };
  }

  /** Whether what was written is where it must be; `replies` are those to WAIT, if it was sent, and INFO. */
  async #copied(
    client: Redis,
    replies: readonly [Error | null, unknown][],
    awaited: number,
  ): Promise<boolean> {
    const [infoError, info] = replies.at(-1) as [Error | null, unknown];
    const before = this.#replicas;
    // Who may not ask can demand them.
    this.#replicas = infoError === null ? onlineReplicas(String(info)) : 0;
    const { replicaWaitMs, replicas, onAlone } = this.#options;
    if (before > 0 && this.#replicas === 0 && replicas === 0) onAlone();
    if (awaited > 0) {
      const [error, copies] = replies[0] as [Error | null, number];
      if (error !== null) throw error;
      return copies >= awaited;
    }
    // A replica that came since the last time.
    return this.#replicas === 0 || (await client.wait(1, replicaWaitMs)) >= 1;
  }

  /** An answer of the script or the server that waiting does not change. */
  #told(error: Error): RoostError {
    const [word, a, b] = error.message.split(" ");
    if (word === "LOGFULL")
      return new RoostError(
        "LOG_FULL",
        `${this.#options.logKey} holds ${a} records of at most ${b}; what rolls them into segments is behind`,
      );
    if (word === "LOGLOST") return lostEvents(this.#options.logKey, Number(a), Number(b));
    return unavailable(this.#options.logKey, error);
  }
}

/** A server that ends before what was acknowledged, as after a fail-over to a replica that lagged. */
export const lostEvents = (logKey: string, last: number, durable: number): RoostError =>
  new RoostError(
    "BAD_STORE",
    `${logKey} ends at seq ${last}, but ${durable} was acknowledged: Redis lost events. Restart to go on from what is left`,
  );

const closed = (): RoostError => new RoostError("NOT_READY", "the event log was closed");

/** A failed command as an error with a code. */
export const unavailable = (what: string, error: unknown): RoostError =>
  error instanceof RoostError
    ? error
    : new RoostError("REDIS_UNAVAILABLE", `${what}: ${(error as Error).message}`, error);
