import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import type { EventLog } from "../../datasets/log/event-log.ts";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import { SpoolingLog, type SpoolingLogOptions } from "../../datasets/log/spooling-log.ts";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import { RoostError } from "../../errors.ts";
import { closeInTurn } from "../close-in-turn.ts";
import type { Settings } from "../settings.ts";
import type { Time } from "./clock.ts";
import { eventsAside, spoolPath } from "./events-aside.ts";
import { type OpenState, openState } from "./open-state.ts";
import { redisNote } from "./redis-note.ts";

/** How a server deals with Redis, other than by its settings. */
export interface RedisPatience {
  /** How long a dead server keeps others from the state there. */
  readonly leaseTtlMs?: number;
  /** How long a request waits for features of there, in each of two rounds. */
  readonly featureTimeoutMs?: number;
  /** Events that waited aside and go on at once. */
  readonly spoolBatch?: number;
}

/** The space of a data directory, on Redis where the settings name one. */
export async function openSpace(
  { redisUrl, redisDown, redisReplicas }: Settings,
  dir: DataDir,
  { wallMs, monotonicMs }: Time,
  logger: Logger,
  opened: (() => unknown)[],
  { leaseTtlMs, featureTimeoutMs, spoolBatch }: RedisPatience,
  onLost: (error: RoostError) => void,
): Promise<OpenState> {
  const aside = await eventsAside(dir);
  if (redisUrl === undefined) {
    if (aside > 0)
      throw new RoostError(
        "BAD_STORE",
        `${aside} events wait aside for Redis: name it by redis_url`,
      );
    const note = redisNote(dir);
    if (note !== undefined)
      logger.warn(
        { prefix: note.prefix, nodes: note.nodes },
        "this space was on Redis last: what only Redis has is not here, and what comes now is not there",
      );
    return openState(dir, (reason) => logger.warn({ reason }, "state is built anew from the log"));
  }
  // Loaded where they are used: an embedded server starts without the client.
  const { connectRedis, parseRedisUrl } = await import("../../datasets/storage/redis.ts");
  const { openRedisState } = await import("./open-redis-state.ts");
  const connection = await connectRedis(parseRedisUrl(redisUrl), (error) =>
    logger.warn({ problem: error.message }, "the connection to Redis failed"),
  );
  opened.push(() => connection.close());
  const onRedis = (): Promise<OpenState> =>
    openRedisState(dir, {
      connection,
      owner: randomUUID(),
      replicas: redisReplicas,
      ...(leaseTtlMs !== undefined && { leaseTtlMs }),
      ...(featureTimeoutMs !== undefined && { featureTimeoutMs }),
      wallMs,
      monotonicMs,
      onNotice: (reason) => logger.warn({ reason }, "state on Redis"),
      onLost,
    });
  const takes = redisDown === "spool";
  if (!takes && aside === 0) return onRedis();
  if (aside > 0) logger.warn({ events: aside }, "events wait aside for Redis");
  const options = { takes, ...(spoolBatch !== undefined && { batch: spoolBatch }) };
  return withSpool(openLmdbEventLog(spoolPath(dir)), onRedis, options, logger);
}

/** The space that is opened, its log with a spool in front. */
async function withSpool(
  kept: EventLog,
  open: () => Promise<OpenState>,
  options: SpoolingLogOptions,
  logger: Logger,
): Promise<OpenState> {
  let state: OpenState;
  try {
    state = await open();
  } catch (error) {
    await kept.close();
    throw error;
  }
  const onError = (error: unknown): void =>
    logger.error({ err: error }, "events that wait aside cannot go on");
  const spool = new SpoolingLog(state.log, kept, { ...options, onError });
  return {
    ...state,
    log: spool,
    spool,
    close: () => closeInTurn([() => state.close(), () => spool.close()]),
  };
}
