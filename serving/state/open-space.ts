import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import type { RoostError } from "../../errors.ts";
import type { Settings } from "../settings.ts";
import type { Time } from "./clock.ts";
import { type OpenState, openState } from "./open-state.ts";

/** The space of a data directory, on Redis where the settings name one. */
export async function openSpace(
  { redisUrl, redisReplicas }: Settings,
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
  return openRedisState(dir, {
    connection,
    owner: randomUUID(),
    replicas: redisReplicas,
    ...(leaseTtlMs !== undefined && { leaseTtlMs }),
    wallMs,
    onNotice: (reason) => logger.warn({ reason }, "state on Redis"),
    onLost,
  });
}
