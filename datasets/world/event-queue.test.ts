import fc from "fast-check";
import { expect, test } from "vitest";
import { EventQueue } from "./event-queue.ts";

test("happenings come out by time, and in the order of pushing at the same time", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 300 }), (times) => {
      const queue = new EventQueue();
      for (const [i, time] of times.entries()) queue.push(1, time, i, 0);
      const out: [number, number][] = [];
      while (queue.pop()) out.push([queue.current.timeMs, queue.current.user]);
      const sorted = times.map((time, i): [number, number] => [time, i]);
      sorted.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      expect(out).toEqual(sorted);
    }),
  );
});

test("slots are used again without mixing up what they hold, also past the first growth", () => {
  const queue = new EventQueue();
  for (let i = 0; i < 5_000; i++) queue.push(2, i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 0.5);
  for (let i = 0; i < 4_000; i++) queue.pop();
  for (let i = 5_000; i < 7_000; i++) queue.push(2, i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 0.5);
  let expected = 4_000;
  while (queue.pop()) {
    const i = expected++;
    expect(queue.current).toEqual({
      kind: 2,
      timeMs: i,
      user: i + 1,
      object: i + 2,
      request: i + 3,
      detail: i + 4,
      flags: i + 5,
      value: i + 0.5,
    });
  }
  expect(expected).toBe(7_000);
});
