import { RoostError } from "../../errors.ts";
import type { RedisConnection } from "../storage/redis.ts";
import { type PartitionedLog, partitionedLog } from "./partitions.ts";
import { unavailable } from "./redis-appender.ts";
import {
  openRedisEventLog,
  type RedisEventLog,
  type RedisEventLogOptions,
} from "./redis-event-log.ts";

export interface RedisPartitionsOptions
  extends Omit<RedisEventLogOptions, "partition" | "startAfterSeq"> {
  /** Last seq of each partition's segments. */
  readonly startAfterSeqs?: readonly number[];
}

/**
 * Opens all partitions of the event log in Redis. Their number is written there by the first who opens it, because with
 * another an actor's events would go on elsewhere.
 * @throws BAD_CONFIG when the log has another number of partitions, REDIS_UNAVAILABLE, BAD_STORE
 */
export async function openRedisPartitions(
  connection: RedisConnection,
  partitions: number,
  { startAfterSeqs = [], ...options }: RedisPartitionsOptions = {},
): Promise<PartitionedLog & { readonly partitions: readonly RedisEventLog[] }> {
  const held = await keptNumber(connection, partitions).catch((error) => {
    throw unavailable("the event log cannot be opened", error);
  });
  if (held !== partitions)
    throw new RoostError(
      "BAD_CONFIG",
      `the event log in Redis has ${held} partitions, not ${partitions}; their number cannot change`,
    );
  const opened = await Promise.allSettled(
    Array.from({ length: partitions }, (_, partition) =>
      openRedisEventLog(connection, {
        ...options,
        partition,
        startAfterSeq: startAfterSeqs[partition] ?? 0,
      }),
    ),
  );
  const logs = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  for (const one of opened)
    if (one.status === "rejected") {
      await Promise.all(logs.map((log) => log.close()));
      throw one.reason;
    }
  return { ...partitionedLog(logs), partitions: logs };
}

async function keptNumber({ client, target }: RedisConnection, wanted: number): Promise<number> {
  const key = `${target.prefix}partitions`;
  await client.set(key, wanted, "NX");
  return Number(await client.get(key));
}
