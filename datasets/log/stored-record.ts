import { RoostError } from "../../errors.ts";
import { EVENT_SCHEMA_VERSION, type Event, type LoggedEvent } from "../events.ts";

interface StoredRecord {
  readonly v: number;
  readonly event: Event;
}

/** An event as a log keeps it, without its place. JSON is exact for every string of a request, lone surrogates included. */
export function encodeRecord(event: Event): string {
  const { seq: _, ...plain } = event as Event & { seq?: number };
  return JSON.stringify({ v: EVENT_SCHEMA_VERSION, event: plain } satisfies StoredRecord);
}

/** @throws BAD_STORE when a newer version wrote it */
export function decodeRecord(seq: number, json: string): LoggedEvent {
  const { v, event } = JSON.parse(json) as StoredRecord;
  if (v > EVENT_SCHEMA_VERSION)
    throw new RoostError("BAD_STORE", `seq ${seq} was written by a newer version (schema ${v})`);
  return { ...event, seq };
}

/**
 * What a log knows an event id by; undefined without an id. JSON, because keys are UTF-8 and would merge ids with lone
 * surrogates.
 */
export const eventIdKey = ({ event_id }: Pick<Event, "event_id">): string | undefined =>
  event_id === undefined ? undefined : JSON.stringify(event_id);
