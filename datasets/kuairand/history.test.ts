import fc from "fast-check";
import { expect, test } from "vitest";
import { timed } from "./history.ts";

const at = (events: ReturnType<typeof timed>, head: string) =>
  events.filter((e) => e.head === head).map((e) => [e.videoId, e.timeMs]);

test("listed videos take the time of their place in the watch list, the last one last_time_ms", () => {
  const events = timed(
    { watched: ["7", "7", "9", "5", "3"], favorite: ["9"], long_view: ["7", "5", "3"] },
    5,
    0,
    1000,
  );
  // 5 impressions in 1,000 ms: one every 200.
  expect(at(events, "favorite")).toEqual([["9", 600]]);
  expect(at(events, "long_view")).toEqual([
    ["7", 400],
    ["5", 800],
    ["3", 1000],
  ]);
});

test("likes older than the watch list lie before it, at the rate that the list shows", () => {
  const events = timed(
    { watched: ["1", "2", "3", "4"], favorite: ["8", "9", "2", "4"], long_view: [] },
    100,
    0,
    10_000,
  );
  // A step is 100 ms; 2 of 4 watches were liked, so the older ones lie 2 steps apart before the oldest watch.
  expect(at(events, "favorite")).toEqual([
    ["8", 9300],
    ["9", 9500],
    ["2", 9800],
    ["4", 10_000],
  ]);
});

test("every watch is a view, and long views are those among them, so that they can be counted per view", () => {
  const lists = { watched: ["1", "2", "3", "4"], favorite: [], long_view: ["8", "9", "2", "4"] };
  const events = timed(lists, 100, 0, 10_000);
  expect(at(events, "video_view")).toEqual([
    ["1", 9700],
    ["2", 9800],
    ["3", 9900],
    ["4", 10_000],
  ]);
  expect(at(events, "long_view")).toEqual([
    ["2", 9800],
    ["4", 10_000],
  ]);
});

test("times are whole, in list order and between the first day and last_time_ms, whatever the lists", () => {
  const videos = fc.array(fc.constantFrom("1", "2", "3", "4", "5"), { maxLength: 50 });
  const input = fc.record({
    watched: videos,
    favorite: videos,
    long_view: videos,
    more: fc.integer({ min: 0, max: 900 }),
    span: fc.integer({ min: 0, max: 16 * 86_400_000 }),
  });
  fc.assert(
    fc.property(input, ({ more, span, ...lists }) => {
      const firstMs = 1_649_433_600_000;
      const longest = Math.max(...Object.values(lists).map((list) => list.length));
      const events = timed(lists, longest + more, firstMs, firstMs + span);
      for (const head of ["favorite", "long_view", "video_view"] as const) {
        const own = events.filter((e) => e.head === head);
        const listed = head === "video_view" ? lists.watched : lists[head];
        // Of long views the newest that have a place among the watches are kept.
        const kept = head === "long_view" ? listed.slice(listed.length - own.length) : listed;
        expect(own.map((e) => e.videoId).sort()).toEqual([...kept].sort());
        for (const { timeMs } of own) {
          expect(Number.isInteger(timeMs)).toBe(true);
          expect(timeMs).toBeGreaterThanOrEqual(firstMs);
          expect(timeMs).toBeLessThanOrEqual(firstMs + span);
        }
        if (span > 1e6) expect(own.map((e) => e.videoId)).toEqual(kept);
      }
    }),
    { numRuns: 300, seed: 2 },
  );
});
