import { RoostError } from "../../errors.ts";
import type { RedisConnection } from "../storage/redis.ts";
import { RedisGroups } from "../storage/redis-groups.ts";
import { eventIdName, partitionKey } from "./redis-event-log.ts";
import { eventIdKey } from "./stored-record.ts";

/** Ids looked at together: bounds what is on its way. */
const AT_ONCE = 10_000;

/**
 * Keys by which a partition of the log on Redis still knows the event ids of removed records. An id that came again after its
 * window belongs to a later record and is not among them.
 * @throws REDIS_UNAVAILABLE
 */
export async function eventIdKeysOf(
  { client, target }: RedisConnection,
  partition: number,
  { seqs, eventIds }: { readonly seqs: ReadonlySet<number>; readonly eventIds: Iterable<string> },
): Promise<string[]> {
  const groups = new RedisGroups(client);
  const keys = Array.from(eventIds, (event_id) =>
    partitionKey(target.prefix, partition, eventIdName(eventIdKey({ event_id }) as string)),
  );
  const held: string[] = [];
  for (let from = 0; from < keys.length; from += AT_ONCE) {
    const some = keys.slice(from, from + AT_ONCE);
    for (const [i, value] of (await groups.getAll(some)).entries()) {
      if (value instanceof Error) throw new RoostError("REDIS_UNAVAILABLE", value.message, value);
      // `<seq> <arrival>`
      if (value !== null && seqs.has(Number.parseInt(String(value), 10)))
        held.push(some[i] as string);
    }
  }
  return held;
}
