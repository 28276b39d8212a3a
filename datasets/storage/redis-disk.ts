import { Cluster, type Redis } from "ioredis";
import { RoostError } from "../../errors.ts";
import type { RedisConnection } from "./redis.ts";

/** How long replicas are waited for at a time, and how often: what is on its way to them may be much. */
const REPLICAS_WAIT_MS = 1_500;
const WAITS = 20;

/**
 * Waits until every connected replica has what was written over this connection, so that no fail-over brings it back.
 * @throws REDIS_UNAVAILABLE when one stays behind
 */
export async function onEveryReplica({ client }: RedisConnection): Promise<void> {
  for (const master of client instanceof Cluster ? client.nodes("master") : [client])
    for (let wait = 1; ; wait++) {
      // Also those that are still being filled: they are when it is their turn to say what they have.
      const replicas = connectedReplicas(await answered(master.info("replication")));
      if (replicas === 0) break;
      const copies = await answered(master.wait(replicas, REPLICAS_WAIT_MS));
      if (copies >= replicas) break;
      if (wait === WAITS)
        throw new RoostError(
          "REDIS_UNAVAILABLE",
          `${nameOf(master)}: ${copies} of ${replicas} replicas have what was removed`,
        );
    }
}

/** What became of a request that servers write their files anew. */
export interface DiskRewrite {
  /** Servers that began to, or will when what they are at is done. */
  readonly asked: number;
  /** Why others did not: they still have on disk what was removed, for as long as they keep that file. */
  readonly refused: readonly string[];
}

/**
 * Asks every server, replicas of a cluster too, to write its files without what was removed: an append-only file keeps all
 * commands until then, a snapshot what there was. It happens in the background. A replica of a single server is not known
 * here and keeps its own file.
 */
export async function rewriteOnDisk({ client }: RedisConnection): Promise<DiskRewrite> {
  const servers = client instanceof Cluster ? client.nodes("all") : [client];
  let asked = 0;
  const refused: string[] = [];
  for (const server of servers)
    try {
      if (await rewrite(server)) asked++;
    } catch (error) {
      refused.push(`${nameOf(server)}: ${(error as Error).message}`);
    }
  return { asked, refused };
}

/** Whether there was something to be written anew. */
async function rewrite(server: Redis): Promise<boolean> {
  const appends = /^aof_enabled:1/m.test(await server.info("persistence"));
  if (appends) await server.bgrewriteaof();
  const [, points = ""] = (await server.config("GET", "save")) as string[];
  if (points !== "") await server.bgsave("SCHEDULE");
  return appends || points !== "";
}

const connectedReplicas = (info: string): number => info.match(/^slave\d+:/gm)?.length ?? 0;

const nameOf = ({ options }: Redis): string => `${options.host}:${options.port}`;

const answered = <T>(reply: Promise<T>): Promise<T> =>
  reply.catch((error: Error) => {
    throw new RoostError("REDIS_UNAVAILABLE", error.message, error);
  });
