import { expect, test } from "vitest";
import { learningSchedule } from "./learning-schedule.ts";

const DAY = 86_400_000;

test("every row after the frozen model's is fresh for exactly one warm start, and none reaches into a judged day", () => {
  const { frozen, days } = learningSchedule({ fromMs: 0, toMs: 8 * DAY }, 3 * DAY);
  expect(frozen.train).toEqual({ fromMs: 0, toMs: 220_320_000 });
  expect(frozen.validation.toMs).toBe(3 * DAY);
  expect(days.map(({ judged }) => judged.fromMs / DAY)).toEqual([4, 5, 6, 7]);
  let learnedMs = frozen.train.toMs;
  for (const { judged, fresh, validation } of days) {
    expect(fresh.fromMs).toBe(learnedMs);
    expect(fresh.toMs).toBeGreaterThan(fresh.fromMs);
    expect(validation).toEqual({ fromMs: fresh.toMs, toMs: judged.fromMs });
    learnedMs = fresh.toMs;
  }
});

test("the last day may be short, and what leaves nothing to judge or to freeze is refused", () => {
  const short = learningSchedule({ fromMs: 0, toMs: 2.5 * DAY }, DAY);
  expect(short.days.map(({ judged }) => judged)).toEqual([{ fromMs: 2 * DAY, toMs: 2.5 * DAY }]);
  expect(() => learningSchedule({ fromMs: 0, toMs: 2 * DAY }, DAY)).toThrow(/no day to judge/);
  expect(() => learningSchedule({ fromMs: 0, toMs: 9 * DAY }, 0)).toThrow(
    /before it for the frozen/,
  );
});
