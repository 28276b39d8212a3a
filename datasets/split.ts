import { RoostError } from "../errors.ts";

const DAY_MS = 86_400_000;

/** Half-open range of event time: fromMs ≤ time < toMs, epoch milliseconds. */
export interface TimeRange {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Ranges for fitting, for choosing and, if kept aside, for the last word: each later than the one before. */
export interface TimeSplit {
  readonly train: TimeRange;
  readonly validation: TimeRange;
  readonly test?: TimeRange;
}

/**
 * Checks a split by time. Roost has no random split: rows of one user and one hour on both sides tell the answer.
 * @throws BAD_ARGUMENT when a range is empty, or two overlap or are out of order
 */
export function splitByTime(split: TimeSplit): TimeSplit {
  const parts = Object.entries(split).filter(([, range]) => range !== undefined);
  const order = ["train", "validation", "test"];
  parts.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  for (const [i, [name, range]] of parts.entries()) {
    if (!(Number.isFinite(range.fromMs) && range.fromMs < range.toMs))
      throw new RoostError(
        "BAD_ARGUMENT",
        `the ${name} range ${show(range)} is empty; it needs fromMs < toMs`,
      );
    const previous = parts[i - 1];
    if (previous && range.fromMs < previous[1].toMs)
      throw new RoostError(
        "BAD_ARGUMENT",
        `the ${name} range ${show(range)} begins before the ${previous[0]} range ${show(previous[1])} ends`,
      );
  }
  return split;
}

/**
 * Whole days from `first` to `last` inclusive, as YYYY-MM-DD on a wall clock that is `utcOffsetMinutes` ahead of UTC.
 * @throws BAD_ARGUMENT on anything that is no calendar day, or `last` before `first`
 */
export function dayRange(first: string, last: string, utcOffsetMinutes = 0): TimeRange {
  const fromMs = dayStart(first, utcOffsetMinutes);
  const toMs = dayStart(last, utcOffsetMinutes) + DAY_MS;
  if (fromMs >= toMs) throw new RoostError("BAD_ARGUMENT", `day ${last} lies before day ${first}`);
  return { fromMs, toMs };
}

/** The first millisecond of a day. @throws BAD_ARGUMENT on anything that is no calendar day */
export function dayStart(day: string, utcOffsetMinutes = 0): number {
  const utc = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : Number.NaN;
  // Date.parse takes 30 February for 1 or 2 March.
  if (Number.isNaN(utc) || new Date(utc).toISOString().slice(0, 10) !== day)
    throw new RoostError("BAD_ARGUMENT", `"${day}" is no day; write YYYY-MM-DD`);
  return utc - utcOffsetMinutes * 60_000;
}

/**
 * The moment that a person means: a day's first millisecond (`start`) or the one after its last (`end`) on the data
 * set's calendar, or an ISO 8601 moment as it stands.
 * @throws BAD_ARGUMENT on anything else
 */
export function moment(text: string, edge: "start" | "end", utcOffsetHours: number): number {
  if (/^\d{4}-\d{2}-\d{2}$/.test(text))
    return dayStart(text, utcOffsetHours * 60) + (edge === "end" ? DAY_MS : 0);
  const ms = Date.parse(text);
  if (Number.isNaN(ms))
    throw new RoostError(
      "BAD_ARGUMENT",
      `"${text}" is no date; write 2022-05-01 or 2022-05-01T12:00Z`,
    );
  return ms;
}

/** The end of the time for learning that stops training and fits the calibration, when nobody says otherwise. */
const VALIDATION_SHARE = 0.15;

/**
 * How a data set is divided: training until `trainUntilMs`, validation until `validateUntilMs`, the rest for judging.
 * By default validation ends where the held-out part begins, and is the last 15 % of the time before it.
 * @throws BAD_ARGUMENT when a part has no time, or learning would reach into what is held out
 */
export function datasetSplit(
  data: {
    readonly from_ms: number;
    readonly to_ms: number;
    readonly held_out_from_ms?: number | undefined;
  },
  asked: { readonly trainUntilMs?: number; readonly validateUntilMs?: number } = {},
): TimeSplit {
  const endMs = data.to_ms + 1;
  const validateUntilMs = asked.validateUntilMs ?? data.held_out_from_ms ?? endMs;
  const trainUntilMs =
    asked.trainUntilMs ??
    Math.round(validateUntilMs - VALIDATION_SHARE * (validateUntilMs - data.from_ms));
  if (data.held_out_from_ms !== undefined && validateUntilMs > data.held_out_from_ms)
    throw new RoostError(
      "BAD_ARGUMENT",
      `validation until ${new Date(validateUntilMs).toISOString()} reaches into what is held out from ${new Date(data.held_out_from_ms).toISOString()} on`,
    );
  return splitByTime({
    train: { fromMs: data.from_ms, toMs: trainUntilMs },
    validation: { fromMs: trainUntilMs, toMs: validateUntilMs },
    ...(validateUntilMs < endMs && { test: { fromMs: validateUntilMs, toMs: endMs } }),
  });
}

/**
 * The moment that `--since` means: as `moment` takes it, or epoch milliseconds.
 * @throws BAD_ARGUMENT on anything else
 */
export function sinceMoment(text: string, utcOffsetHours: number): number {
  return /^\d{9,}$/.test(text) ? Number(text) : moment(text, "start", utcOffsetHours);
}

/**
 * How the newest part of a data set is divided for a warm start: validation is the last day, or the last 15 % where there
 * are not two whole days since.
 * @throws BAD_ARGUMENT when there is no time since, or learning would reach into what is held out
 */
export function warmSplit(
  data: Parameters<typeof datasetSplit>[0],
  asked: {
    readonly sinceMs: number;
    readonly trainUntilMs?: number;
    readonly validateUntilMs?: number;
  },
): TimeSplit {
  const { sinceMs } = asked;
  const until = asked.validateUntilMs ?? data.held_out_from_ms ?? data.to_ms + 1;
  const span = until - sinceMs;
  const validationMs = span >= 2 * DAY_MS ? DAY_MS : VALIDATION_SHARE * span;
  const trainUntilMs = asked.trainUntilMs ?? Math.round(until - validationMs);
  return datasetSplit({ ...data, from_ms: sinceMs }, { trainUntilMs, validateUntilMs: until });
}

/** The part that a time belongs to; undefined outside all. */
export function partOf(split: TimeSplit, timeMs: number): keyof TimeSplit | undefined {
  const within = (range: TimeRange | undefined): boolean =>
    range !== undefined && timeMs >= range.fromMs && timeMs < range.toMs;
  if (within(split.train)) return "train";
  if (within(split.validation)) return "validation";
  return within(split.test) ? "test" : undefined;
}

const show = (range: TimeRange): string => {
  const iso = (ms: number): string =>
    Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms);
  return `${iso(range.fromMs)} – ${iso(range.toMs)}`;
};
