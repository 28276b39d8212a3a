import { spawnSync } from "node:child_process";
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Redis } from "ioredis";
import type { Event } from "../../datasets/events.ts";
import type { EventLog } from "../../datasets/log/event-log.ts";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import { openRedisEventLog } from "../../datasets/log/redis-event-log.ts";
import { encodeRecord } from "../../datasets/log/stored-record.ts";
import { random } from "../../datasets/random.ts";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import { startRedis } from "../../datasets/storage/own-redis.ts";
import { connectRedis, parseRedisUrl } from "../../datasets/storage/redis.ts";
import { type Figure, figure, quantile, writeReport } from "./bench-report.ts";

/*
 * Appends to the event log that are acknowledged when on disk, and what a consumer lags behind the acknowledgement, on LMDB
 * and on a Redis of its own with `appendfsync always`, without a replica. The floors write the same records without ids,
 * seqs and deduplication: LMDB puts that are flushed, and a plain client's pipelined XADD. All by turns in one process and
 * on one disk, that of the temporary files. The consumer is in this process too; on Redis it reads over connections of its
 * own, as another process would.
 */
const SEED = 1;
/** Events made beforehand; beyond them only the id is new. */
const DIFFERENT = 20_000;
const FSYNCS = 100;
const WARM_UP_MS = 1_000;

const USAGE =
  "usage: roost bench events [--rounds N (5)] [--seconds N (2)] [--batch N (100)] [--concurrency N (16)] [--load FRACTION (0.5)] [--json]";

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    batch: { type: "string", default: "100" },
    concurrency: { type: "string", default: "16" },
    load: { type: "string", default: "0.5" },
  },
});
const ROUNDS = Number(flags.rounds);
const BLOCK_MS = Number(flags.seconds) * 1_000;
const BATCH = Number(flags.batch);
const CONCURRENCY = Number(flags.concurrency);
const LOAD = Number(flags.load);

/** A way to store events, for as long as the benchmark takes. */
interface Store {
  readonly name: "lmdb" | "redis";
  readonly log: EventLog;
  /** Where a consumer reads. */
  readonly read: EventLog;
  /** Stores records as barely as it goes; resolves when they are durable. */
  raw(records: readonly string[]): Promise<unknown>;
  /** Forgets what `raw` stored. */
  clearRaw(): Promise<unknown>;
  close(): Promise<void>;
}

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const dir = mkdtempSync(join(tmpdir(), "roost-bench-events-"));
  const stores: Store[] = [];
  try {
    const missing = spawnSync("redis-server", ["--version"]).status !== 0;
    stores.push(lmdbStore(dir));
    if (!missing) stores.push(await redisStore());
    const { rounds, figures } = await measure(stores);
    const redis = missing ? { skipped: "there is no redis-server" } : { durable: "always" };
    const setting = { batch: BATCH, concurrency: CONCURRENCY, load: LOAD, block_ms: BLOCK_MS };
    const told = [figure("fsync_p50_ms", fsyncMs(join(dir, "fsync")), "ms"), ...figures];
    writeReport(
      "events",
      { seed: SEED, setting, redis, rounds, figures: told },
      flags.json,
      missing ? `redis: skipped: ${redis.skipped}\n` : "",
    );
  } finally {
    for (const store of stores) await store.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

function lmdbStore(dir: string): Store {
  const log = openLmdbEventLog(join(dir, "log"));
  const root = openLmdb(join(dir, "raw"));
  const records = root.openDB<string, number>({ name: "records", encoding: "string" });
  let last = 0;
  return {
    name: "lmdb",
    log,
    read: log,
    raw: async (added) => {
      let put: Promise<unknown> = Promise.resolve();
      for (const record of added) put = records.put(++last, record);
      await put;
      await root.flushed;
    },
    clearRaw: () => records.clearAsync(),
    close: async () => {
      await log.close();
      await root.close();
    },
  };
}

async function redisStore(): Promise<Store> {
  // A rewrite of the append-only file would fall into one block and not into another.
  const server = await startRedis({
    durable: true,
    args: ["--auto-aof-rewrite-percentage", "0"],
  });
  const redis = await connectRedis(parseRedisUrl(`${server.url}?prefix=bench:`));
  const client = redis.client as Redis;
  const log = await openRedisEventLog(redis);
  const read = await openRedisEventLog(redis);
  return {
    name: "redis",
    log,
    read,
    raw: async (records) => {
      const pipeline = client.pipeline();
      for (const record of records) pipeline.xadd("bench:raw", "*", "r", record);
      for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
    },
    clearRaw: () => client.unlink("bench:raw"),
    close: async () => {
      await Promise.all([log.close(), read.close()]);
      await redis.close();
      await server.stop();
    },
  };
}

interface Round {
  readonly store: Store["name"];
  readonly events_per_s: number;
  readonly raw_events_per_s: number;
  readonly lag_p50_ms: number;
  readonly lag_p99_ms: number;
  /** Events a second that were appended while the lag was measured. */
  readonly lag_load: number;
}

async function measure(stores: readonly Store[]) {
  const events = source();
  const records = source();
  const append = (store: Store) => () => store.log.append(events(BATCH), Date.now());
  const raw = (store: Store) => () => store.raw(records(BATCH).map(encodeRecord));
  for (const store of stores) {
    await saturate(append(store), Math.min(WARM_UP_MS, BLOCK_MS));
    await saturate(raw(store), Math.min(WARM_UP_MS, BLOCK_MS));
  }
  const rounds: Round[] = [];
  const lags = new Map<Store["name"], number[]>();
  for (let i = 0; i < ROUNDS; i++)
    for (const store of i % 2 === 0 ? stores : [...stores].reverse()) {
      const kinds = [append(store), raw(store)];
      const first = await saturate(kinds[i % 2] as () => Promise<unknown>, BLOCK_MS);
      const second = await saturate(kinds[1 - (i % 2)] as () => Promise<unknown>, BLOCK_MS);
      const [logged, bare] = i % 2 === 0 ? [first, second] : [second, first];
      await store.log.trim(store.log.lastSeq());
      await store.clearRaw();
      const lag = await lagAt(store, logged * LOAD, events);
      lags.set(store.name, [...(lags.get(store.name) ?? []), ...lag.ms]);
      await store.log.trim(store.log.lastSeq());
      rounds.push({
        store: store.name,
        events_per_s: Math.round(logged),
        raw_events_per_s: Math.round(bare),
        lag_p50_ms: quantile(lag.ms, 0.5),
        lag_p99_ms: quantile(lag.ms, 0.99),
        lag_load: Math.round(lag.perSecond),
      });
    }
  return { rounds, figures: figuresOf(stores, rounds, lags) };
}

function figuresOf(
  stores: readonly Store[],
  rounds: readonly Round[],
  lags: ReadonlyMap<Store["name"], number[]>,
): Figure[] {
  const each = stores.flatMap(({ name }) => {
    const own = rounds.filter(({ store }) => store === name);
    const ratios = own.map((round) => round.events_per_s / round.raw_events_per_s);
    const lag = lags.get(name) ?? [];
    const median = (key: "events_per_s" | "raw_events_per_s" | "lag_load"): number =>
      quantile(
        own.map((round) => round[key]),
        0.5,
      );
    return [
      figure(`durable_events_per_s_${name}`, median("events_per_s"), "events/s"),
      figure(`raw_events_per_s_${name}`, median("raw_events_per_s"), "events/s"),
      figure(`raw_ratio_${name}`, quantile(ratios, 0.5), "of the floor"),
      figure(`consumer_lag_load_${name}`, median("lag_load"), "events/s"),
      figure(`consumer_lag_p50_ms_${name}`, quantile(lag, 0.5), "ms"),
      figure(`consumer_lag_p99_ms_${name}`, quantile(lag, 0.99), "ms"),
    ];
  });
  const worst = Math.max(...[...lags.values()].map((lag) => quantile(lag, 0.99)));
  return [...each, figure("consumer_lag_p99_ms", worst, "ms, the larger of them")];
}

/** Makes `count` engagements, each with an id of its own. */
function source(): (count: number) => Event[] {
  const rng = random(SEED, "bench-events");
  const id = (below: number): string => String(1_000_000_000 + rng.below(below));
  const made = Array.from(
    { length: DIFFERENT },
    (_, i): Event => ({
      type: "engagement",
      time_ms: 1_700_000_000_000 + i * 37,
      user_id: id(100_000),
      post_id: id(1_000_000),
      author_id: id(100_000),
      head: "favorite",
      request_id: `r${rng.below(1e9).toString(36)}`,
    }),
  );
  let next = 0;
  return (count) =>
    Array.from({ length: count }, () => {
      const event_id = `e${(next++).toString(36).padStart(12, "0")}`;
      return { ...(made[next % DIFFERENT] as Event), event_id };
    });
}

/** Events a second with CONCURRENCY batches under way at any time. */
async function saturate(store: () => Promise<unknown>, ms: number): Promise<number> {
  const startedAt = performance.now();
  let batches = 0;
  const keepOn = async (): Promise<void> => {
    while (performance.now() - startedAt < ms) {
      await store();
      batches++;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, keepOn));
  return (1_000 * batches * BATCH) / (performance.now() - startedAt);
}

/** ms from the acknowledgement of each event to its being read by a consumer that follows, at a steady rate of appends. */
async function lagAt(store: Store, perSecond: number, events: (count: number) => Event[]) {
  const from = store.log.lastSeq() + 1;
  const acknowledged: number[] = [];
  const seen: number[] = [];
  const stop = new AbortController();
  const consumer = (async () => {
    for (let next = from; ; ) {
      const batch = await store.read.read({ fromSeq: next, limit: 1_000 });
      const now = performance.now();
      for (const { seq } of batch) seen[seq - from] = now;
      next += batch.length;
      if (batch.length > 0) continue;
      if (stop.signal.aborted && next > store.log.lastSeq()) return;
      await store.read.waitFor(next, stop.signal).catch(() => {});
    }
  })();
  const appends: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let sent = 0; performance.now() - startedAt < BLOCK_MS; ) {
    // What is due by now: timers come late and may stand for several batches.
    const due = ((performance.now() - startedAt) * perSecond) / 1_000;
    for (; sent < due; sent += BATCH)
      appends.push(
        store.log.append(events(BATCH), Date.now()).then((results) => {
          const now = performance.now();
          for (const { seq } of results) acknowledged[seq - from] = now;
        }),
      );
    await delay(1);
  }
  await Promise.all(appends);
  const tookMs = performance.now() - startedAt;
  await store.read.waitFor(store.log.lastSeq());
  stop.abort();
  await consumer;
  return {
    // Read before its acknowledgement was told is no lag.
    ms: acknowledged.map((at, i) => Math.max(0, (seen[i] as number) - at)),
    perSecond: (1_000 * acknowledged.length) / tookMs,
  };
}

/** What the disk takes for one append of 4 KiB that is flushed. */
function fsyncMs(file: string): number {
  const fd = openSync(file, "a");
  const page = Buffer.alloc(4_096);
  const times = Array.from({ length: FSYNCS }, () => {
    const startedAt = performance.now();
    writeSync(fd, page);
    fdatasyncSync(fd);
    return performance.now() - startedAt;
  });
  closeSync(fd);
  return quantile(times, 0.5);
}

await main();
