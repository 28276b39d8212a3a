import type { EventLog } from "../../datasets/log/event-log.ts";
import { followLog } from "../../datasets/log/reader.ts";
import { LOG_PARTITION, openRedisEventLog } from "../../datasets/log/redis-event-log.ts";
import { listSegments } from "../../datasets/log/segment-files.ts";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { applyEvent } from "../engine.ts";
import { FeatureKeys, STORED_LAYOUT } from "./feature-keys.ts";
import { holdLayout } from "./layout-lease.ts";
import { isMarked, markLog } from "./log-mark.ts";
import { RedisFeatureStore } from "./redis-store.ts";
import { replayToFile } from "./replay-to-file.ts";
import {
  readStateFile,
  removeStateFile,
  STATE_FILE,
  type StateFacts,
  type StateFile,
} from "./state-file.ts";

/** In the order in which they come; a run begins with the one in which the run before ended. */
export const STEPS = ["replay", "write", "catch_up"] as const;
export type Step = (typeof STEPS)[number];

export interface MaterializeOptions {
  readonly connection: RedisConnection;
  /** Only read, except for the file of state that is being made. */
  readonly dir: DataDir;
  /** Tells this process from every other. */
  readonly owner: string;
  readonly wallMs: () => number;
  readonly monotonicMs: () => number;
  /** Ends the work; the next run goes on where it stood. */
  readonly signal: AbortSignal;
  readonly onProgress: (step: Step, done: number, of: number) => void;
  readonly saveEveryMs?: number;
  readonly leaseTtlMs?: number;
  readonly layout?: string;
}

/** What a run did. */
export interface Materialized {
  readonly layout: string;
  /** The last record that the state reflects: the log's end when the run ended. */
  readonly position: number;
  /** The step that an earlier run left half done; null when this one began. */
  readonly resumed: Step | null;
  readonly events_replayed: number;
  readonly vectors_written: number;
  readonly events_caught_up: number;
  /** Step → seconds. */
  readonly seconds: Readonly<Record<Step, number>>;
}

/** As long as a run repeats at most, or ten times as long as a save takes. */
const SAVE_EVERY_MS = 10_000;

/**
 * Makes the feature state of this build's layout on Redis from segments and log, beside a server of another layout: replays
 * the log into a file up to where it ends now, writes that in bulk, and applies what came meanwhile until it is at the end.
 * A run that was killed is gone on with by the next, and leaves the same state.
 * @throws FENCED when another process writes or builds this layout, or took it over; REDIS_UNAVAILABLE, BAD_SEGMENT
 */
export async function materialize(options: MaterializeOptions): Promise<Materialized> {
  const { connection, dir, owner, monotonicMs, leaseTtlMs, layout = STORED_LAYOUT } = options;
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const lease = await holdLayout(connection, {
    owner,
    monotonicMs,
    layout,
    onlyForDead: true,
    onLost: (error) => ended.abort(error),
    ...(leaseTtlMs !== undefined && { ttlMs: leaseTtlMs }),
  });
  try {
    const log = await openRedisEventLog(connection, {
      partition: LOG_PARTITION,
      startAfterSeq: listSegments(dir.segments).at(-1)?.last_seq ?? 0,
    });
    try {
      return await make({ ...options, layout, signal }, log, lease.token);
    } finally {
      await log.close();
    }
  } finally {
    await lease.release();
  }
}

async function make(
  options: MaterializeOptions & { readonly layout: string },
  log: EventLog,
  token: number,
): Promise<Materialized> {
  const { connection, dir, wallMs, monotonicMs, signal, onProgress, layout } = options;
  const keys = new FeatureKeys(connection.target.prefix, layout);
  const places = { segments: dir.segments, log };
  const path = dir.at(STATE_FILE);
  const left = await fitting(path, places, keys);
  const store = await RedisFeatureStore.open({
    connection,
    token,
    now: wallMs,
    layout,
    ...(left?.facts.cursor === null && { filling: left.id }),
  });
  const seconds = { replay: 0, write: 0, catch_up: 0 };
  const timed = async <T>(step: Step, work: () => Promise<T>): Promise<T> => {
    const startedMs = monotonicMs();
    try {
      return await work();
    } finally {
      seconds[step] = (monotonicMs() - startedMs) / 1_000;
    }
  };
  let replayed = 0;
  let written = 0;
  let resumed: Step | null = null;
  try {
    // State of records that the log does not have is of a log that lost them.
    if (store.position > 0 && store.position <= log.lastSeq()) resumed = "catch_up";
    else if (log.lastSeq() > 0) {
      if (left !== undefined) resumed = left.facts.cursor === null ? "write" : "replay";
      const file = await timed("replay", async () =>
        replayToFile({
          places,
          keys,
          path,
          begin: left ? beginningOf(left.facts) : await beginning(places, keys, wallMs()),
          resumed: left,
          monotonicMs,
          saveEveryMs: options.saveEveryMs ?? SAVE_EVERY_MS,
          signal,
          onProgress: (done, of) => onProgress("replay", done, of),
        }),
      );
      replayed = file.facts.events - (left?.facts.events ?? 0);
      const { vectors } = file.facts;
      const state = { id: file.id, position: file.facts.log.up_to, batches: file.batches };
      written = await timed("write", () =>
        store.fill(state, (n) => {
          onProgress("write", n, vectors);
          signal.throwIfAborted();
        }),
      );
    }
    removeStateFile(path);
    const from = store.position;
    await timed("catch_up", () => catchUp(store, places, signal, onProgress));
    return {
      layout,
      position: store.position,
      resumed,
      events_replayed: replayed,
      vectors_written: written,
      events_caught_up: store.position - from,
      seconds,
    };
  } finally {
    await store.close();
  }
}

/** The file that an earlier run left, if it is of this layout and of this log as it still is. */
async function fitting(
  path: string,
  places: { readonly segments: string; readonly log: EventLog },
  keys: FeatureKeys,
): Promise<StateFile | undefined> {
  const file = await readStateFile(path);
  if (file === undefined || file.facts.prefix !== keys.layout) return undefined;
  return (await isMarked(places, file.facts.log)) ? file : undefined;
}

async function beginning(
  places: { readonly segments: string; readonly log: EventLog },
  keys: FeatureKeys,
  nowMs: number,
): Promise<StateFacts> {
  const log = await markLog(places, places.log.lastSeq());
  return { prefix: keys.layout, log, time_ms: nowMs, cursor: null, events: 0, vectors: 0 };
}

const beginningOf = (facts: StateFacts): StateFacts => ({
  ...facts,
  cursor: null,
  events: 0,
  vectors: 0,
});

/** Applies what was logged since, as a server does, until there is no more. */
async function catchUp(
  store: RedisFeatureStore,
  places: { readonly segments: string; readonly log: EventLog },
  signal: AbortSignal,
  onProgress: MaterializeOptions["onProgress"],
): Promise<void> {
  const from = store.position;
  const { log } = places;
  if (from >= log.lastSeq()) return;
  for await (const batch of followLog(places, from + 1, signal)) {
    await store.transaction(batch.at(-1)?.seq as number, (state) => {
      for (const event of batch) applyEvent(state, event);
    });
    onProgress("catch_up", store.position - from, log.lastSeq() - from);
    signal.throwIfAborted();
    if (store.position >= log.lastSeq()) return;
  }
  signal.throwIfAborted();
}
