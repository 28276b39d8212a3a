import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import { SpoolingLog } from "../../datasets/log/spooling-log.ts";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import type { RoostError } from "../../errors.ts";
import type { Settings } from "../settings.ts";
import type { Time } from "./clock.ts";
import { type OpenState, openState } from "./open-state.ts";

/** The space of a data directory, on Redis where the settings name one. */
export async function openSpace(
  { redisUrl, redisDown, redisReplicas }: Settings,
  dir: DataDir,
  { wallMs }: Time,
  logger: Logger,
  opened: (() => unknown)[],
  leaseTtlMs: number | undefined,
  onLost: (error: RoostError) => void,
): Promise<OpenState> {
  if (redisUrl === undefined)
    return openState(dir, (reason) => logger.warn({ reason }, "state is built anew from the log"));
  // Loaded where they are used: an embedded server starts without the client.
  const { connectRedis, parseRedisUrl } = await import("../../datasets/storage/redis.ts");
  const { openRedisState } = await import("./open-redis-state.ts");
  const connection = await connectRedis(parseRedisUrl(redisUrl), (error) =>
    logger.warn({ problem: error.message }, "the connection to Redis failed"),
  );
  opened.push(() => connection.close());
  const state = await openRedisState(dir, {
    connection,
    owner: randomUUID(),
    replicas: redisReplicas,
    ...(leaseTtlMs !== undefined && { leaseTtlMs }),
    wallMs,
    onNotice: (reason) => logger.warn({ reason }, "state on Redis"),
    onLost,
  });
  return redisDown === "spool" ? withSpool(state, dir, logger) : state;
}

/** The same space, whose log keeps events aside while Redis is gone. */
function withSpool(state: OpenState, dir: DataDir, logger: Logger): OpenState {
  const spool = new SpoolingLog(state.log, openLmdbEventLog(dir.at("spool")), {
    onError: (error) => logger.error({ err: error }, "events that wait aside cannot go on"),
  });
  if (spool.spooled > 0) logger.warn({ events: spool.spooled }, "events wait aside for Redis");
  return {
    ...state,
    log: spool,
    spool,
    close: async () => {
      await spool.close();
      await state.close();
    },
  };
}
