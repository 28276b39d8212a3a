import { expect, test } from "vitest";
import { type Event, EventSchema } from "../../datasets/events.ts";
import { applyEvent } from "../engine.ts";
import { MemoryState } from "../memory-store.ts";
import { FeatureReader } from "../reader.ts";

const DAY = 86_400_000;
const T = Date.UTC(2025, 0, 6);
const NAMES = [
  "user_daily.impressions_50d",
  "user_daily.click_rate_50d",
  "user_surface_daily.click_rate_50d",
] as const;
const page = (time_ms: number, user_id: string, surface: string, clicked: boolean): Event[] => {
  const shared = { time_ms, request_id: "q", user_id, post_id: "100", author_id: "2", surface };
  const shown = { ...shared, type: "impression", position: 0 };
  const events = clicked ? [shown, { ...shared, type: "engagement", head: "click" }] : [shown];
  return events.map((event) => EventSchema.parse(event));
};
function read(events: readonly Event[], nowMs: number, surface = "home"): number[] {
  const state = new MemoryState();
  for (const event of events) applyEvent(state, event);
  const reader = new FeatureReader(NAMES, []);
  const out = new Float32Array(NAMES.length);
  reader.begin(state, { userId: "1", nowMs, surface });
  reader.row("100", "2", out, new Uint32Array(0), 0);
  return [...out];
}
// The first day: viewer 1 is shown 2 posts and clicks 1, viewer 9 is shown 2 and clicks none.
const YESTERDAY = [
  ...page(T + 1000, "1", "home", true),
  ...page(T + 2000, "1", "other", false),
  ...page(T + 3000, "9", "home", false),
  ...page(T + 4000, "9", "home", false),
];

test("a viewer's rates stand still until midnight", () => {
  expect(read(YESTERDAY, T + DAY - 1)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  const [impressions, rate, onSurface] = read(YESTERDAY, T + DAY);
  expect(impressions).toBeCloseTo(2 * 2 ** (-1 / 50), 4);
  // 1 click of 2 impressions against 1 of 4, smoothed with 20 and with 5 impressions (decay hardly shows in a ratio).
  expect(rate).toBeCloseTo(Math.log((1 + 20 / 4) / (2 + 20) / (1 / 4)), 2);
  expect(onSurface).toBeCloseTo(Math.log((1 + 5 / 4) / (1 + 5) / (1 / 4)), 2);
});

test("what happens today changes today's rates only through everybody's", () => {
  const now = T + DAY + 5000;
  const before = read(YESTERDAY, now);
  const clicked = read([...YESTERDAY, ...page(now - 1000, "1", "home", true)], now);
  const other = read([...YESTERDAY, ...page(now - 1000, "9", "home", true)], now);
  expect(clicked[0]).toBe(before[0]);
  expect(clicked).toEqual(other);
});
