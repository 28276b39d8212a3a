import { removeTimelines } from "../../candidates/timelines/removal.ts";
import { eventIdKeysOf } from "../../datasets/log/erase-event-ids.ts";
import { LOG_PARTITION, openRedisEventLog } from "../../datasets/log/redis-event-log.ts";
import { redisLeases } from "../../datasets/log/redis-leases.ts";
import { SegmentRoller } from "../../datasets/log/roller.ts";
import { listSegments } from "../../datasets/log/segment-files.ts";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  type DiskRewrite,
  onEveryReplica,
  rewriteOnDisk,
} from "../../datasets/storage/redis-disk.ts";
import { scanKeys } from "../../datasets/storage/redis-scan.ts";
import { RoostError } from "../../errors.ts";
import { FeatureKeys } from "../../features/redis/feature-keys.ts";
import { RedisFeatureStore } from "../../features/redis/redis-store.ts";
import { removeOtherLayouts } from "../../features/redis/removal.ts";
import { closeInTurn } from "../close-in-turn.ts";
import { holdState } from "../state/hold-state.ts";
import { rollEmbedded } from "../state/roll-embedded.ts";
import { finishErasure } from "./finish-erasure.ts";
import type { OnStep } from "./steps.ts";
import type { Unfinished } from "./unfinished.ts";

/** What an erasure removed from Redis. */
export interface ErasedOnRedis {
  /** Removed records that were in the stream when this began; the others had been rolled into segments. */
  readonly stream_records: number;
  /** Event ids of removed records that were still known. */
  readonly event_ids: number;
  /** Everybody's feature state and stored timelines: both are made anew from the log. */
  readonly feature_keys: number;
  readonly timeline_keys: number;
  /** Servers asked to write their files anew, those that did, and those that refused. */
  readonly files: DiskRewrite;
}

export interface RedisSpaceOptions {
  readonly connection: RedisConnection;
  /** Tells this process from every other. */
  readonly owner: string;
  readonly nowMs: number;
  /** The machine's clock, epoch ms. */
  readonly wallMs: () => number;
  readonly leaseTtlMs?: number;
  readonly onStep?: OnStep;
}

/** The part of a space that is on Redis, held by an erasure while it works. */
export interface RedisSpace {
  /**
   * Removes all that is derived from the log, and tells what is to be removed when the log is without these records. To be
   * called when nothing else can fail any more: until the files have taken their places the space is whole without it.
   * @throws FENCED REDIS_UNAVAILABLE
   */
  erase(removed: {
    readonly seqs: ReadonlySet<number>;
    readonly eventIds: ReadonlySet<string>;
  }): Promise<{ readonly erased: ErasedOnRedis; readonly unfinished: Unfinished }>;
  /** Removes the rest, once the files are in place. @throws REDIS_UNAVAILABLE; the next start does it then */
  finish(): Promise<void>;
  /** Lets servers have the space again. */
  release(): Promise<void>;
}

/**
 * Takes a space from Redis into the data directory as far as it is not derived: every record of the stream is rolled into
 * segments and trimmed, so that rewriting segments rewrites the log.
 * @param dir owned by the caller
 * @throws FENCED while a server runs there; REDIS_UNAVAILABLE, BAD_SEGMENT
 */
export async function holdRedisSpace(
  dir: DataDir,
  options: RedisSpaceOptions,
): Promise<RedisSpace> {
  const { connection, nowMs, wallMs, onStep = () => {} } = options;
  let lost: RoostError | undefined;
  const lease = await holdState({
    ...options,
    onLost: (error) => {
      lost = error;
    },
  });
  const held = (): void => {
    if (lost !== undefined) throw lost;
  };
  const closers: (() => unknown)[] = [() => lease.release()];
  const release = (): Promise<void> => closeInTurn(closers);
  try {
    await finishErasure(dir, connection);
    onStep("rolling the log into segments");
    const firstInStream = await rollAll(dir, connection, nowMs);
    const { client, target } = connection;
    return {
      release,
      erase: async ({ seqs, eventIds }) => {
        held();
        onStep("removing feature state from Redis");
        const store = await RedisFeatureStore.open({
          connection,
          token: lease.token,
          now: wallMs,
        });
        const { every } = new FeatureKeys(target.prefix);
        const before = (await scanKeys(client, every)).size;
        // By the store, which keeps its token: what an older owner still has on its way is refused.
        await store.drop();
        await store.close();
        await removeEveryOtherLayout(options);
        const after = (await scanKeys(client, every)).size;
        onStep("removing timelines from Redis");
        const timelines = await removeTimelines(connection);
        await onEveryReplica(connection);
        const files = await rewriteOnDisk(connection);
        const redis_keys = await eventIdKeysOf(connection, LOG_PARTITION, { seqs, eventIds });
        held();
        return {
          erased: {
            stream_records: [...seqs].filter((seq) => seq >= firstInStream).length,
            event_ids: redis_keys.length,
            feature_keys: before - after,
            timeline_keys: timelines,
            files,
          },
          unfinished: { redis_keys },
        };
      },
      finish: () => {
        onStep("removing event ids from Redis");
        return finishErasure(dir, connection);
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/** @throws FENCED when somebody makes another layout ready from the log as it was */
async function removeEveryOtherLayout({
  connection,
  owner,
  leaseTtlMs,
}: RedisSpaceOptions): Promise<void> {
  const leases = redisLeases(connection, {
    owner,
    ...(leaseTtlMs !== undefined && { ttlMs: leaseTtlMs }),
  });
  const monotonicMs = (): number => performance.now();
  const { written } = await removeOtherLayouts(connection, { leases, monotonicMs });
  if (written.length > 0)
    throw new RoostError(
      "FENCED",
      `feature state of layout ${written.join(", ")} is being made: wait for its end, then erase`,
    );
}

/** Empties the stream into segments. Returns where it began. */
async function rollAll(dir: DataDir, connection: RedisConnection, nowMs: number): Promise<number> {
  await rollEmbedded(dir, nowMs);
  const log = await openRedisEventLog(connection, {
    partition: LOG_PARTITION,
    startAfterSeq: listSegments(dir.segments).at(-1)?.last_seq ?? 0,
  });
  try {
    const first = log.firstSeq();
    const roller = new SegmentRoller({ log, dir: dir.segments });
    do await roller.roll(nowMs, { all: true });
    while (log.firstSeq() <= log.lastSeq());
    return first;
  } finally {
    await log.close();
  }
}
