import { setTimeout as delay } from "node:timers/promises";
import { Cluster, type Redis } from "ioredis";
import { RoostError } from "../../errors.ts";

/** Keys that a server looks at in one step of a scan: other commands are served between two. */
const STEP = 1_000;
const PASSES = 20;
const PAUSE_MS = 50;

/**
 * Every key that begins with `prefix`, each once, of a single server or of all masters of a cluster. Keys that are there
 * from beginning to end are all found, also when slots move meanwhile.
 * @param prefix without the letters that a Redis pattern gives a meaning
 * @throws REDIS_UNAVAILABLE when a node does not answer or slots never stop moving
 */
export async function scanKeys(client: Redis | Cluster, prefix: string): Promise<Set<string>> {
  const found = new Set<string>();
  try {
    if (!(client instanceof Cluster)) {
      await scanNode(client, prefix, found);
      return found;
    }
    for (let pass = 1; pass <= PASSES; pass++) {
      const before = await slotOwners(client);
      for (const node of client.nodes("master")) await scanNode(node, prefix, found);
      // A key that moved from a node not yet scanned to one that was is found by another pass.
      if (before !== undefined && (await slotOwners(client)) === before) return found;
      await delay(PAUSE_MS);
      await new Promise((resolve) => client.refreshSlotsCache(resolve));
    }
  } catch (error) {
    throw new RoostError("REDIS_UNAVAILABLE", `scan: ${(error as Error).message}`, error);
  }
  throw new RoostError("REDIS_UNAVAILABLE", "scan: slots kept moving or had no master");
}

async function scanNode(node: Redis, prefix: string, found: Set<string>): Promise<void> {
  let cursor = "0";
  do {
    const [next, keys] = await node.scan(cursor, "MATCH", `${prefix}*`, "COUNT", STEP);
    for (const key of keys) if (key.startsWith(prefix)) found.add(key);
    cursor = next;
  } while (cursor !== "0");
}

/** Stands in what `CLUSTER NODES` tells of a slot on its way. */
const MOVING = "->-";

const SLOTS = 16_384;

/** Which slots each master says that it has; undefined while one is moved or not each has one master. */
async function slotOwners(cluster: Cluster): Promise<string | undefined> {
  let owned = 0;
  const lists = await Promise.all(
    cluster.nodes("master").map(async (node) => {
      const nodes = (await node.call("CLUSTER", "NODES")) as string;
      const own = nodes.split("\n").find((line) => line.includes("myself")) ?? "";
      const [id, , , , , , , , ...slots] = own.split(" ");
      for (const [, from, to] of slots.join(" ").matchAll(/(?<!\S)(\d+)(?:-(\d+))?(?!\S)/g))
        owned += Number(to ?? from) - Number(from) + 1;
      return `${id} ${slots.join(" ")}`;
    }),
  );
  const told = lists.sort().join("\n");
  return owned === SLOTS && !told.includes(MOVING) ? told : undefined;
}
