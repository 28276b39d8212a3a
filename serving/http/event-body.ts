import { z } from "zod";
import { type Event, EventSchema } from "../../datasets/events.ts";
import type { FieldError } from "./invalid-request.ts";
import { jsonPointer } from "./json-pointer.ts";
import type { ServerClock } from "./services.ts";
import { type Body, type Validated, validate } from "./validate.ts";

export const MAX_EVENTS = 1_000;
/** Clocks of honest callers differ by seconds; a time further ahead would distort every decayed count. */
const MAX_AHEAD_MS = 60_000;
/** The server writes these itself. */
const SERVER_TYPES: ReadonlySet<unknown> = new Set(["served", "exposure", "erased"]);

const sendable = EventSchema.options.filter(
  (option) => !SERVER_TYPES.has(option.shape.type.value),
) as unknown as typeof EventSchema.options;
const SentEvent = z
  .discriminatedUnion("type", sendable)
  .describe("time_ms may be left out: the server's clock is taken");
const SentBatch = z.array(SentEvent).min(1).max(MAX_EVENTS);

/**
 * The body of `POST /v1/events`: one event, an array of them, or `{events: [...]}`.
 * Malformed events refuse the whole batch, so nothing is half-done; every wrong field of every event is named.
 * An absent `time_ms` becomes the server's now; under a world clock a sent one does too.
 */
export function eventBody(clock: ServerClock): Body<SentEvents> {
  return {
    schema: z.union([SentEvent, SentBatch, z.strictObject({ events: SentBatch })]),
    validate: (body) => readEvents(body, clock),
  };
}

export interface SentEvents {
  readonly events: readonly Event[];
  /** JSON pointer of each event in the sent body. */
  readonly pointers: readonly string[];
}

function readEvents(body: unknown, clock: ServerClock): Validated<SentEvents> {
  const nowMs = clock.nowMs();
  if (Array.isArray(body)) return readBatch(body, [], nowMs, clock.kind);
  if (isObject(body) && Object.hasOwn(body, "events")) {
    const { events, ...unknown } = body;
    const strange = validate(z.strictObject({}), unknown).errors ?? [];
    const batch = Array.isArray(events)
      ? readBatch(events, ["events"], nowMs, clock.kind)
      : { errors: [{ pointer: "/events", detail: "must be an array of events" }] };
    return strange.length === 0 ? batch : { errors: [...strange, ...(batch.errors ?? [])] };
  }
  const single = readEvent(body, [], nowMs, clock.kind);
  return single.errors === undefined
    ? { value: { events: [single.value], pointers: [""] } }
    : single;
}

function readBatch(
  batch: readonly unknown[],
  path: readonly string[],
  nowMs: number,
  kind: ServerClock["kind"],
): Validated<SentEvents> {
  const pointer = jsonPointer(path);
  if (batch.length === 0) return { errors: [{ pointer, detail: "must hold at least one event" }] };
  if (batch.length > MAX_EVENTS) {
    return {
      errors: [{ pointer, detail: `holds ${batch.length} events; ${MAX_EVENTS} is the most` }],
    };
  }
  const events: Event[] = [];
  const errors: FieldError[] = [];
  for (let i = 0; i < batch.length; i++) {
    const read = readEvent(batch[i], [...path, i], nowMs, kind);
    if (read.errors === undefined) events.push(read.value);
    else errors.push(...read.errors);
  }
  if (errors.length > 0) return { errors };
  return { value: { events, pointers: events.map((_, i) => jsonPointer([...path, i])) } };
}

function readEvent(
  sent: unknown,
  path: readonly PropertyKey[],
  nowMs: number,
  kind: ServerClock["kind"],
): Validated<Event> {
  const timed =
    isObject(sent) && !Object.hasOwn(sent, "time_ms") ? { ...sent, time_ms: nowMs } : sent;
  const read = validate(SentEvent, timed, path);
  if (read.errors !== undefined) return read;
  if (kind === "world") return { value: { ...read.value, time_ms: nowMs } };
  if (read.value.time_ms > nowMs + MAX_AHEAD_MS) {
    const pointer = jsonPointer([...path, "time_ms"]);
    return { errors: [{ pointer, detail: "is in the future of the server's clock" }] };
  }
  return read;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
