import { setTimeout as delay } from "node:timers/promises";
import keySlot from "cluster-key-slot";
import { Redis } from "ioredis";
import { type RedisCluster, type RedisServer, redisCli } from "./own-redis.ts";
import { onlineReplicas } from "./redis-durability.ts";

/** Keys that one command moves: others are served in between. */
const MOVED_AT_ONCE = 10;
const LOOK_MS = 50;
/** A busy machine takes its time for an election and a full copy. */
const PATIENCE_MS = 90_000;

/** The living master that holds a key's slot by its own account. */
export function masterOf({ servers }: RedisCluster, key: string): RedisServer {
  const found = servers.find((server) => holds(server, keySlot(key)));
  if (found === undefined) throw new Error(`no server says that it holds ${key}`);
  return found;
}

/** Servers that are masters of slots by their own account. */
export const mastersOf = ({ servers }: RedisCluster): RedisServer[] =>
  servers.filter((server) => slotRanges(server).length > 0);

/** The replica that a master is connected with. */
export function replicaOf({ servers }: RedisCluster, master: RedisServer): RedisServer {
  const port = /^slave0:.*\bport=(\d+)/m.exec(redisCli(master.port, "info", "replication"))?.[1];
  const found = servers.find((server) => server.port === Number(port));
  if (found === undefined) throw new Error(`the Redis on port ${master.port} has no replica`);
  return found;
}

const holds = (server: RedisServer, slot: number): boolean =>
  slotRanges(server).some(([from, to]) => from <= slot && slot <= to);

function slotRanges({ port }: RedisServer): [from: number, to: number][] {
  const own = redisCli(port, "cluster", "nodes")
    .split("\n")
    .find((line) => /\bmyself,master\b/.test(line));
  return (own?.split(" ").slice(8) ?? [])
    .filter((range) => /^\d/.test(range))
    .map((range) => {
      const [from, to = from] = range.split("-").map(Number) as [number, number?];
      return [from, to];
    });
}

/**
 * Moves every slot in which a master has keys to another, key by key, while both serve, as `redis-cli --cluster reshard`
 * does. Returns the slots, which `slots` then moves back.
 */
export async function moveSlots(
  cluster: RedisCluster,
  from: RedisServer,
  to: RedisServer,
  slots?: readonly number[],
): Promise<readonly number[]> {
  const [source, target] = [from, to].map(({ port }) => new Redis({ port })) as [Redis, Redis];
  const masters = mastersOf(cluster).map(({ port }) => new Redis({ port }));
  try {
    const moved = slots ?? (await slotsInUse(source));
    const [fromId, toId] = (await Promise.all([
      source.cluster("MYID"),
      target.cluster("MYID"),
    ])) as unknown as [string, string];
    for (const slot of moved) {
      await target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", fromId);
      await source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", toId);
      for (;;) {
        const keys = await source.cluster("GETKEYSINSLOT", slot, MOVED_AT_ONCE);
        if (keys.length === 0) break;
        await source.call("MIGRATE", "127.0.0.1", to.port, "", 0, 5_000, "KEYS", ...keys);
      }
      // The new owner first: a slot that nobody claims would be refused meanwhile.
      for (const node of [target, source, ...masters])
        await node.call("CLUSTER", "SETSLOT", slot, "NODE", toId);
    }
    return moved;
  } finally {
    for (const node of [source, target, ...masters]) node.disconnect();
  }
}

async function slotsInUse(node: Redis): Promise<number[]> {
  const slots = new Set<number>();
  for (let cursor = "0", begun = false; !begun || cursor !== "0"; begun = true) {
    const [next, keys] = await node.scan(cursor, "COUNT", 1_000);
    for (const key of keys) slots.add(keySlot(key));
    cursor = next;
  }
  return [...slots];
}

/** Kills a master, waits until another server holds its slots, and brings it back as a replica in sync. */
export async function replaceMaster(cluster: RedisCluster, master: RedisServer): Promise<void> {
  const slot = slotRanges(master)[0]?.[0] as number;
  await master.kill();
  await until(() => cluster.servers.some((server) => holds(server, slot)));
  await master.restart();
  await inSync(cluster, master);
}

/** Resolves when a server is a replica that its master copies to, and every server finds the cluster whole. */
export async function inSync({ servers }: RedisCluster, replica: RedisServer): Promise<void> {
  await until(() => {
    const info = redisCli(replica.port, "info", "replication");
    if (!/role:slave/.test(info) || !/master_link_status:up/.test(info)) return false;
    const master = Number(/master_port:(\d+)/.exec(info)?.[1]);
    return onlineReplicas(redisCli(master, "info", "replication")) > 0;
  });
  await until(() =>
    servers.every(({ port }) => /cluster_state:ok/.test(redisCli(port, "cluster", "info"))),
  );
}

async function until(done: () => boolean): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !done(); await delay(LOOK_MS))
    if (performance.now() > end) throw new Error("the cluster did not come to rest");
}
