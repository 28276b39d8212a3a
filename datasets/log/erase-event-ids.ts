import { RoostError } from "../../errors.ts";
import type { RedisConnection } from "../storage/redis.ts";
import { RedisGroups } from "../storage/redis-groups.ts";
import { unlinkKeys } from "../storage/redis-unlink.ts";
import { eventIdName, partitionKey } from "./redis-event-log.ts";
import { eventIdKey } from "./stored-record.ts";

/** Ids looked at together: bounds what is on its way. */
const AT_ONCE = 10_000;

/**
 * Makes a partition of the log on Redis forget the event ids of removed records. An id that came again after its window
 * belongs to a later record and stays. Nothing may be appended meanwhile.
 * @returns ids that were there
 * @throws REDIS_UNAVAILABLE
 */
export async function eraseEventIds(
  { client, target }: RedisConnection,
  partition: number,
  { seqs, eventIds }: { readonly seqs: ReadonlySet<number>; readonly eventIds: Iterable<string> },
): Promise<number> {
  const groups = new RedisGroups(client);
  const keys = Array.from(eventIds, (event_id) =>
    partitionKey(target.prefix, partition, eventIdName(eventIdKey({ event_id }) as string)),
  );
  let removed = 0;
  for (let from = 0; from < keys.length; from += AT_ONCE) {
    const some = keys.slice(from, from + AT_ONCE);
    const values = await groups.getAll(some);
    const doomed = some.filter((_, i) => {
      const value = values[i];
      if (value instanceof Error) throw new RoostError("REDIS_UNAVAILABLE", value.message, value);
      // `<seq> <arrival>`
      return value != null && seqs.has(Number.parseInt(String(value), 10));
    });
    removed += await unlinkKeys(client, doomed);
  }
  return removed;
}
