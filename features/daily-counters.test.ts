import fc from "fast-check";
import { expect, test } from "vitest";
import { DailyCounters } from "./daily-counters.ts";
import { HALF_LIFE_MS } from "./decayed-counters.ts";
import { IMPRESSION, INTEREST, signalIndex } from "./signals.ts";

const CLICK = signalIndex("click");
const DAY = 86_400_000;
const MIDNIGHT = 19_000 * DAY;
const counters = new DailyCounters([IMPRESSION, CLICK, INTEREST], "50d");
const AT = 3;

interface Addition {
  readonly timeMs: number;
  readonly amount: number;
}
const after = (additions: readonly Addition[]): Float64Array => {
  const state = new Float64Array(AT + counters.slots);
  for (const { timeMs, amount } of additions)
    counters.add(state, AT, timeMs, CLICK, amount, INTEREST, amount / 2);
  return state;
};
const read = (additions: readonly Addition[], nowMs: number, signal = CLICK): number =>
  counters.read(after(additions), AT, nowMs, signal);

/** Straight from the definition: what happened before the midnight before `nowMs`, by age. */
const closedForm = (additions: readonly Addition[], nowMs: number): number =>
  additions
    .filter(({ timeMs }) => timeMs < Math.floor(nowMs / DAY) * DAY)
    .reduce(
      (sum, { timeMs, amount }) => sum + amount * 2 ** (-(nowMs - timeMs) / HALF_LIFE_MS["50d"]),
      0,
    );

const history = fc.array(
  fc.record({
    timeMs: fc.integer({ min: MIDNIGHT, max: MIDNIGHT + 4 * DAY }),
    amount: fc.double({ min: 0.1, max: 10, noNaN: true }),
  }),
  { maxLength: 30 },
);

test("today counts from midnight on", () => {
  const events = [{ timeMs: MIDNIGHT + 1000, amount: 1 }];
  expect(read(events, MIDNIGHT + DAY - 1)).toBe(0);
  expect(read(events, MIDNIGHT + DAY)).toBeCloseTo(1, 1);
});

test("a reading is the decayed sum of what earlier days brought", () => {
  fc.assert(
    fc.property(history, fc.integer({ min: 0, max: 3 * DAY }), (events, later) => {
      const ordered = events.toSorted((a, b) => a.timeMs - b.timeMs);
      const nowMs = Math.max(MIDNIGHT, ordered.at(-1)?.timeMs ?? 0) + later;
      expect(read(ordered, nowMs)).toBeCloseTo(closedForm(ordered, nowMs), 8);
      expect(read(ordered, nowMs, INTEREST)).toBeCloseTo(closedForm(ordered, nowMs) / 2, 8);
    }),
  );
});

test("the order of arrival does not matter", () => {
  fc.assert(
    fc.property(history, fc.infiniteStream(fc.nat()), (events, keys) => {
      const arriving = events
        .map((event) => ({ event, key: keys.next().value }))
        .sort((a, b) => a.key - b.key)
        .map(({ event }) => event);
      const nowMs = MIDNIGHT + 4 * DAY + 1;
      for (const at of [nowMs, nowMs + 2 * DAY])
        expect(read(arriving, at)).toBeCloseTo(closedForm(events, at), 8);
    }),
  );
});

test("signals that are not counted change nothing but the day", () => {
  const state = new Float64Array(AT + counters.slots);
  counters.add(state, AT, MIDNIGHT, signalIndex("favorite"), 1, INTEREST, 0);
  expect(counters.read(state, AT, MIDNIGHT + 3 * DAY, CLICK)).toBe(0);
  expect(counters.read(state, AT, MIDNIGHT + 3 * DAY, INTEREST)).toBe(0);
});
