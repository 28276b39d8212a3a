import fc from "fast-check";
import { expect, test } from "vitest";
import { FanOutProgress } from "./fan-out-progress.ts";

test("the position is the last record before the oldest that is not finished, with the newest time up to it", () => {
  const progress = new FanOutProgress({ seq: 4, timeMs: 50 });
  progress.begin(5, 70);
  progress.add(5, 2);
  progress.begin(6, 60);
  progress.done(6);
  progress.done(5);
  expect([progress.taken, progress.position]).toEqual([6, { seq: 4, timeMs: 50 }]);
  progress.done(5, 2);
  expect(progress.position).toEqual({ seq: 6, timeMs: 70 });
});

test("in whatever order work is finished, the position never passes unfinished work and ends at the end", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 3 }), { maxLength: 20 }),
      fc.infiniteStream(fc.nat()),
      (pieces, picks) => {
        const progress = new FanOutProgress({ seq: 0, timeMs: 0 });
        const open: number[] = [];
        pieces.forEach((n, i) => {
          progress.begin(i + 1, i + 1);
          if (n > 0) progress.add(i + 1, n);
          for (let piece = 0; piece < n; piece++) open.push(i + 1);
          progress.done(i + 1);
        });
        while (open.length > 0) {
          expect(progress.position.seq).toBe(Math.min(...open) - 1);
          const pick = (picks.next().value as number) % open.length;
          progress.done(open.splice(pick, 1)[0] as number);
        }
        expect(progress.position).toEqual({ seq: pieces.length, timeMs: pieces.length });
      },
    ),
  );
});
