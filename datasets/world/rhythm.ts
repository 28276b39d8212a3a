import type { Random } from "../random.ts";
import { DAY_MS, HOUR_MS } from "./settings.ts";
import { weightedDraw } from "./weighted-draw.ts";

/** Relative activity by local hour: a low before dawn, a step at lunch, the peak in the evening. */
const BY_LOCAL_HOUR = [
  3, 2, 1, 1, 1, 2, 3, 5, 6, 6, 6, 7, 8, 7, 6, 6, 6, 7, 8, 10, 11, 11, 9, 6,
] as const;
const hours = weightedDraw(BY_LOCAL_HOUR);

/** A time within the UTC day, ms in [0, 86,400,000), following the daily rhythm of a wall clock `utcOffsetMinutes` ahead. */
export function timeOfDay(utcOffsetMinutes: number, source: Random): number {
  const local = (hours.draw(source) + source.next()) * HOUR_MS;
  return Math.floor(((local - utcOffsetMinutes * 60_000) % DAY_MS) + DAY_MS) % DAY_MS;
}
