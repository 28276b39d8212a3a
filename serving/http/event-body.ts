import { z } from "zod";
import { type Event, EventSchema } from "../../datasets/events.ts";
import type { FieldError } from "./invalid-request.ts";
import { jsonPointer } from "./json-pointer.ts";
import type { ServerClock } from "./services.ts";
import { type Body, onePerPlace, type Validated, validate } from "./validate.ts";

const MAX_EVENTS = 1_000;
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
 * The body of `POST /v1/events`: one event, an array of them, or `{events: [...]}`. A malformed event is told at its place,
 * with every wrong field, and keeps none of the others; a body without a valid event is refused as a whole, as is one
 * whose envelope is wrong. An absent `time_ms` becomes the server's now; under a world clock a sent one does too.
 */
export function eventBody(clock: ServerClock): Body<SentEvents> {
  return {
    schema: z.union([SentEvent, SentBatch, z.strictObject({ events: SentBatch })]),
    validate: (body, formErrors) => readEvents(body, formErrors, clock),
  };
}

export interface SentEvents {
  /** The valid ones, in the sent order. */
  readonly events: readonly Event[];
  /** Place of each of them among all sent. */
  readonly places: readonly number[];
  /** What is wrong with the others, by place. */
  readonly malformed: ReadonlyMap<number, readonly FieldError[]>;
  /** JSON pointer of each sent event in the body. */
  readonly pointers: readonly string[];
}

function readEvents(
  body: unknown,
  formErrors: readonly FieldError[],
  clock: ServerClock,
): Validated<SentEvents> {
  if (Array.isArray(body)) return readBatch(body, "", formErrors, clock);
  if (!isObject(body) || !Object.hasOwn(body, "events")) {
    return readBatch([body], undefined, formErrors, clock);
  }
  const { events, ...unknown } = body;
  const strange = validate(z.strictObject({}), unknown).errors ?? [];
  if (!Array.isArray(events))
    return {
      errors: onePerPlace([
        ...formErrors,
        ...strange,
        { pointer: "/events", detail: "must be an array of events" },
      ]),
    };
  return readBatch(events, "/events", [...strange, ...formErrors], clock);
}

/** @param at pointer of the batch; undefined when the body is the one event */
function readBatch(
  batch: readonly unknown[],
  at: string | undefined,
  formErrors: readonly FieldError[],
  clock: ServerClock,
): Validated<SentEvents> {
  if (batch.length === 0 || batch.length > MAX_EVENTS) {
    const detail =
      batch.length === 0
        ? "must hold at least one event"
        : `holds ${batch.length} events; ${MAX_EVENTS} is the most`;
    return { errors: [{ pointer: at ?? "", detail }] };
  }
  const pointers = batch.map((_, i) => (at === undefined ? "" : `${at}/${i}`));
  const formOf = byPlace(formErrors, at);
  const nowMs = clock.nowMs();
  const events: Event[] = [];
  const places: number[] = [];
  const malformed = new Map<number, readonly FieldError[]>();
  batch.forEach((sent, i) => {
    const path = pointers[i] === "" ? [] : (pointers[i] as string).slice(1).split("/");
    const read = readEvent(sent, path, nowMs, clock.kind);
    const errors = onePerPlace([...(formOf.get(i) ?? []), ...(read.errors ?? [])]);
    if (errors.length > 0 || read.errors !== undefined) malformed.set(i, errors);
    else {
      events.push(read.value);
      places.push(i);
    }
  });
  // What is wrong with the envelope leaves open which events were meant.
  const envelope = formOf.get(ENVELOPE) ?? [];
  if (envelope.length > 0 || events.length === 0)
    return { errors: onePerPlace([...envelope, ...[...malformed.values()].flat()]) };
  return { value: { events, places, malformed, pointers } };
}

const ENVELOPE = -1;

/** Errors by the place of the event that they are in. */
function byPlace(
  errors: readonly FieldError[],
  at: string | undefined,
): ReadonlyMap<number, FieldError[]> {
  const places = new Map<number, FieldError[]>();
  for (const error of errors) {
    const inside = error.pointer.startsWith(`${at ?? ""}/`)
      ? /^(\d+)(?=\/|$)/.exec(error.pointer.slice((at ?? "").length + 1))
      : null;
    const place = at === undefined ? 0 : inside === null ? ENVELOPE : Number(inside[1]);
    places.set(place, [...(places.get(place) ?? []), error]);
  }
  return places;
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
