import { setTimeout as delay } from "node:timers/promises";
import { inSync, mastersOf, replicaOf } from "../../datasets/storage/own-cluster.ts";
import { type RedisCluster, type RedisServer, redisCli } from "../../datasets/storage/own-redis.ts";
import { type ClusterDrill, endServer } from "./cluster-drill.ts";

/** Longer than an append waits for a replica, shorter than it takes a master to give a silent replica up. */
const STALLED_MS = 2_000;
const LATE_MS = 500;
const ALONE_MS = 2_000;
const LOOK_MS = 50;
const BEFORE = 150;
const AFTER = 150;

/** What was acknowledged while a replica could not have it. */
export interface UnsyncedRound {
  /** While the replica was connected and did not answer. */
  readonly acknowledgedStalled: number;
  /** While it was cut off. */
  readonly acknowledgedAlone: number;
  /** Whether the server found that its log had lost events, and was started again. */
  readonly restarted: boolean;
}

/**
 * The one case that a replica does not cover: the replica of the log's master, or of another, stands still and is then cut
 * off, the master goes on and is killed, and the replica is made master by force though it lags. The old master comes back
 * as its replica.
 */
export async function loseUnsynced(
  drill: ClusterDrill,
  cluster: RedisCluster,
  of: "log" | "other",
): Promise<UnsyncedRound> {
  let server = await drill.start();
  const load = drill.load.begin(server);
  await load.more(BEFORE);
  const log = drill.logMaster();
  const others = mastersOf(cluster).filter((server) => server !== log);
  const master = of === "log" ? log : (others[0] as RedisServer);
  const replica = replicaOf(cluster, master);
  const acknowledged = (): number => drill.load.acknowledged.size;

  replica.pause();
  // What is written by now is answered when the features show it.
  await delay(LATE_MS);
  const stalledFrom = acknowledged();
  await delay(STALLED_MS);
  const acknowledgedStalled = acknowledged() - stalledFrom;
  redisCli(master.port, "client", "kill", "type", "replica");
  await delay(ALONE_MS);
  const acknowledgedAlone = acknowledged() - stalledFrom - acknowledgedStalled;

  await master.kill();
  replica.resume();
  while (!/role:master/.test(redisCli(replica.port, "info", "replication"))) {
    redisCli(replica.port, "cluster", "failover", "takeover");
    await delay(LOOK_MS);
  }
  await master.restart();
  await inSync(cluster, master);

  // A server that has lost events says that it does not work: an orchestrator starts it again.
  const works = () =>
    fetch(`http://127.0.0.1:${server.port}/livez`).then(
      ({ ok }) => ok,
      () => false,
    );
  const goesOn = load.more(AFTER).then(
    () => true,
    (error: unknown) => {
      // A server that was killed for not working takes nothing more.
      if (!server.ended()) throw error;
      return true;
    },
  );
  let restarted = false;
  while (!(await Promise.race([goesOn, delay(LOOK_MS, false)]))) {
    if (await works()) continue;
    restarted = true;
    server.child.kill("SIGKILL");
    await server.died;
  }
  await load.stop();
  if (restarted) server = await drill.start();
  await endServer(server);
  return { acknowledgedStalled, acknowledgedAlone, restarted };
}
