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

test("what is older than the watch list lies before it, at the rate that the list shows", () => {
  const events = timed(
    { watched: ["1", "2", "3", "4"], favorite: [], long_view: ["8", "9", "2", "4"] },
    100,
    0,
    10_000,
  );
  // A step is 100 ms; 2 of 4 watches were long, so the older ones lie 2 steps apart before the oldest watch.
  expect(at(events, "long_view")).toEqual([
    ["8", 9300],
    ["9", 9500],
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
      for (const head of ["favorite", "long_view"] as const) {
        const own = events.filter((e) => e.head === head);
        expect(own.map((e) => e.videoId).sort()).toEqual([...lists[head]].sort());
        for (const { timeMs } of own) {
          expect(Number.isInteger(timeMs)).toBe(true);
          expect(timeMs).toBeGreaterThanOrEqual(firstMs);
          expect(timeMs).toBeLessThanOrEqual(firstMs + span);
        }
        if (span > 1e6) expect(own.map((e) => e.videoId)).toEqual(lists[head]);
      }
    }),
    { numRuns: 300, seed: 2 },
  );
});
