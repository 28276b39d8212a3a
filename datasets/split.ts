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
