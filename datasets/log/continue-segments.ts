import { RoostError } from "../../errors.ts";
import type { LoggedEvent } from "../events.ts";
import type { RedisConnection } from "../storage/redis.ts";
import { ID_EXPIRY_MS, unavailable } from "./redis-appender.ts";
import { partitionKey } from "./redis-event-log.ts";
import { listSegments } from "./segment-files.ts";
import { readSegments } from "./segments.ts";
import { decodeRecord, eventIdKey } from "./stored-record.ts";

const PAGE = 1_000;

/**
 * Lets a partition on Redis go on after segments that hold more than it: a fail-over to a replica that lagged took back
 * records that were rolled by then. The segments keep them, ids that went with them are known again, and what the log still
 * has of the same records is trimmed. Does nothing where the log is empty or not behind. Only while nobody appends.
 * @returns records that the segments have and the log lost
 * @throws BAD_STORE when the log holds other records than the segments do, REDIS_UNAVAILABLE
 */
export async function continueSegments(
  { client, target }: RedisConnection,
  { segments, partition, nowMs }: { segments: string; partition: number; nowMs: number },
): Promise<number> {
  const rolled = listSegments(segments).at(-1)?.last_seq ?? 0;
  const key = (name: string): string => partitionKey(target.prefix, partition, name);
  const logKey = key("log");
  try {
    const last = Number(await client.get(key("seq")));
    if (last === 0 || last >= rolled) return 0;
    const [oldest] = await client.xrange(logKey, "-", "+", "COUNT", 1);
    const first = oldest === undefined ? last + 1 : Number(oldest[0].split("-")[0]);
    for await (const batch of readSegments(segments, { order: "seq", fromSeq: first })) {
      for (let at = 0; at < batch.length; at += PAGE) {
        const page = batch.slice(at, at + PAGE);
        const [from, to] = [page[0]?.seq, Math.min(last, page.at(-1)?.seq ?? 0)];
        const held = await client.xrange(logKey, `${from}-0`, `${to}-0`);
        const ids = client.pipeline();
        for (const [i, event] of page.entries()) {
          const id = eventIdKey(event);
          const record = held[i]?.[1][1];
          if (event.seq > last) {
            if (id !== undefined)
              ids.set(key(`id:${id}`), `${event.seq} ${nowMs}`, "PX", ID_EXPIRY_MS);
          } else if (record === undefined || !isSame(event, decodeRecord(event.seq, record)))
            throw new RoostError("BAD_STORE", `${logKey} and segments differ at seq ${event.seq}`);
        }
        for (const [error] of (await ids.exec()) ?? []) if (error !== null) throw error;
      }
    }
    for (let next = first; next <= last; ) {
      next = Math.min(next + PAGE, last + 1);
      await client.xtrim(logKey, "MINID", "=", next);
    }
    return rolled - last;
  } catch (error) {
    throw unavailable(logKey, error);
  }
}

const isSame = (a: LoggedEvent, b: LoggedEvent): boolean =>
  a.type === b.type && a.time_ms === b.time_ms && a.event_id === b.event_id;
