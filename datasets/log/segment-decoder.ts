import type { DuckDBDataChunk } from "@duckdb/node-api";
import type { LoggedEvent } from "../events.ts";
import { idDecoder } from "./id-codec.ts";
import { EVENT_TYPES, HEAD_NAMES, PRESENT } from "./segment-layout.ts";

type Fields = Record<string, unknown>;

/** Turns chunks of `FROM_PARQUET` back into events; a field that was absent stays absent. */
export function segmentDecoder(): (chunk: DuckDBDataChunk) => LoggedEvent[] {
  const decodeId = idDecoder();
  return (chunk) => {
    const rows = chunk.rowCount;
    const seq = numbers(chunk, 0);
    const timeMs = numbers(chunk, 1);
    const type = numbers(chunk, 2);
    const present = numbers(chunk, 3);
    const ids = [4, 6, 8, 10].map((c) => [numbers(chunk, c), numbers(chunk, c + 1)] as const);
    const [userLow, userHigh] = ids[0] as (typeof ids)[0];
    const [postLow, postHigh] = ids[1] as (typeof ids)[0];
    const [authorLow, authorHigh] = ids[2] as (typeof ids)[0];
    const [targetLow, targetHigh] = ids[3] as (typeof ids)[0];
    const head = numbers(chunk, 12);
    const value = numbers(chunk, 13);
    const position = numbers(chunk, 14);
    const viewedMs = numbers(chunk, 15);
    const propensity = numbers(chunk, 16);
    const [eventId, requestId, policy, surface, payload] = [17, 18, 19, 20, 21].map((c) =>
      texts(chunk, c),
    ) as [Text, Text, Text, Text, Text];

    const events: LoggedEvent[] = new Array(rows);
    for (let row = 0; row < rows; row++) {
      const has = present(row);
      const event: Fields = {
        type: EVENT_TYPES[type(row)],
        time_ms: timeMs(row),
        seq: seq(row),
      };
      if (has & PRESENT.user_id) event.user_id = decodeId(userLow(row), userHigh(row));
      if (has & PRESENT.post_id) event.post_id = decodeId(postLow(row), postHigh(row));
      if (has & PRESENT.author_id) event.author_id = decodeId(authorLow(row), authorHigh(row));
      if (has & PRESENT.target_id) event.target_id = decodeId(targetLow(row), targetHigh(row));
      if (has & PRESENT.request_id) event.request_id = requestId(row);
      if (has & PRESENT.head) event.head = HEAD_NAMES[head(row)];
      if (has & PRESENT.value) event.value = value(row);
      if (has & PRESENT.position) event.position = position(row);
      if (has & PRESENT.viewed_ms) event.viewed_ms = viewedMs(row);
      if (has & PRESENT.in_network) event.in_network = (has & PRESENT.in_network_true) !== 0;
      if (has & PRESENT.policy) event.policy = policy(row);
      if (has & PRESENT.propensity) event.propensity = propensity(row);
      if (has & PRESENT.surface) event.surface = surface(row);
      if (has & PRESENT.undo) event.undo = (has & PRESENT.undo_true) !== 0;
      if (has & PRESENT.event_id) event.event_id = eventId(row);
      if (has & PRESENT.payload) Object.assign(event, JSON.parse(payload(row)));
      events[row] = event as unknown as LoggedEvent;
    }
    return events;
  };
}

type Text = (row: number) => string;

function numbers(chunk: DuckDBDataChunk, column: number): (row: number) => number {
  const vector = chunk.getColumnVector(column);
  return (row) => vector.getItem(row) as number;
}

function texts(chunk: DuckDBDataChunk, column: number): Text {
  const vector = chunk.getColumnVector(column);
  return (row) => vector.getItem(row) as string;
}
