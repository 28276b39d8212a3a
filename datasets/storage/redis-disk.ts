import { setTimeout as delay } from "node:timers/promises";
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
  /** Servers that have files, and were asked. */
  readonly asked: number;
  /** Those of them that were done while this waited; the others go on. */
  readonly done: number;
  /** Why others did not: they still have on disk what was removed, for as long as they keep that file. */
  readonly refused: readonly string[];
}

/** A file of some gigabytes is written in less. */
const LONGEST_REWRITE_MS = 60_000;
const LOOK_EVERY_MS = 100;

/**
 * Asks every server, replicas of a cluster too, to write its files without what was removed, and waits for that: an
 * append-only file keeps all commands until then, a snapshot what there was. A replica of a single server is not known here
 * and keeps its own file.
 */
export async function rewriteOnDisk(
  { client }: RedisConnection,
  longestMs = LONGEST_REWRITE_MS,
): Promise<DiskRewrite> {
  const servers = client instanceof Cluster ? client.nodes("all") : [client];
  const rewrite = { asked: 0, done: 0, refused: [] as string[] };
  await Promise.all(
    servers.map(async (server) => {
      try {
        const became = await rewritten(server, longestMs);
        if (became !== "nothing") rewrite.asked++;
        if (became === "done") rewrite.done++;
      } catch (error) {
        rewrite.refused.push(`${nameOf(server)}: ${(error as Error).message}`);
      }
    }),
  );
  return rewrite;
}

/** @returns `nothing` where there are no files */
async function rewritten(server: Redis, longestMs: number): Promise<"nothing" | "begun" | "done"> {
  const appends = /^aof_enabled:1/m.test(await server.info("persistence"));
  const [, points = ""] = (await server.config("GET", "save")) as string[];
  if (!appends && points === "") return "nothing";
  const untilMs = performance.now() + longestMs;
  let isDone = true;
  if (appends) {
    await ended(server, untilMs);
    await server.bgrewriteaof();
    isDone = await ended(server, untilMs, "aof_last_bgrewrite_status");
  }
  if (points !== "") {
    await ended(server, untilMs);
    const reply = await server.bgsave("SCHEDULE");
    // A save that is to come is told of by nothing but this answer.
    const isLater = reply.includes("scheduled");
    isDone = (await ended(server, untilMs, "rdb_last_bgsave_status")) && isDone && !isLater;
  }
  return isDone ? "done" : "begun";
}

const UNDER_WAY = /^(aof_rewrite_in_progress|aof_rewrite_scheduled|rdb_bgsave_in_progress):1/m;

/**
 * Whether no file is being written any more, in time: one beside another is refused.
 * @param status that tells how it went, by its name in INFO
 * @throws when it failed
 */
async function ended(server: Redis, untilMs: number, status?: string): Promise<boolean> {
  for (;;) {
    // A server that is busy with it may not answer: it is asked again.
    const info = await server.info("persistence").catch(() => undefined);
    if (info !== undefined && !UNDER_WAY.test(info)) {
      if (status !== undefined && info.includes(`${status}:err`))
        throw new Error(`${status} is err`);
      return true;
    }
    if (performance.now() >= untilMs) return false;
    await delay(LOOK_EVERY_MS);
  }
}

const connectedReplicas = (info: string): number => info.match(/^slave\d+:/gm)?.length ?? 0;

const nameOf = ({ options }: Redis): string => `${options.host}:${options.port}`;

const answered = <T>(reply: Promise<T>): Promise<T> =>
  reply.catch((error: Error) => {
    throw new RoostError("REDIS_UNAVAILABLE", error.message, error);
  });
