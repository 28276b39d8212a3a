import fc from "fast-check";
import { expect, test } from "vitest";
import { DecayedCounters, HALF_LIFE_MS, type HalfLife, logRateRatio } from "./decayed-counters.ts";
import { IMPRESSION, INTEREST, signalIndex } from "./signals.ts";

const FAVORITE = signalIndex("favorite");
const LIVES = ["30m", "1d", "50d"] as const;
const counters = new DecayedCounters([IMPRESSION, FAVORITE, INTEREST], LIVES);
const AT = 2;
const fresh = () => new Float64Array(AT + counters.slots + 1);

interface Addition {
  timeMs: number;
  signal: number;
  amount: number;
  interest: number;
}
const apply = (additions: readonly Addition[]): Float64Array => {
  const state = fresh();
  for (const { timeMs, signal, amount, interest } of additions)
    counters.add(state, AT, timeMs, signal, amount, INTEREST, interest);
  return state;
};
const read = (state: Float64Array, signal: number, life: HalfLife, nowMs: number): number =>
  (state[AT + counters.slot(signal, life)] as number) * counters.decayAt(state, AT, nowMs, life);
/** Σ amount · 2^(−age / half-life), straight from the definition. */
const closedForm = (
  additions: readonly Addition[],
  signal: number,
  life: HalfLife,
  nowMs: number,
): number =>
  additions.reduce((sum, addition) => {
    const amount =
      (addition.signal === signal ? addition.amount : 0) +
      (signal === INTEREST ? addition.interest : 0);
    return sum + amount * 2 ** (-(nowMs - addition.timeMs) / HALF_LIFE_MS[life]);
  }, 0);
const one = (timeMs: number, amount = 1): Addition => ({
  timeMs,
  signal: FAVORITE,
  amount,
  interest: 0,
});

const T = 1_700_000_000_000;
const additions = fc.array(
  fc.record({
    timeMs: fc.integer({ min: T, max: T + 3 * 86_400_000 }),
    signal: fc.constantFrom(IMPRESSION, FAVORITE),
    amount: fc.double({ min: 0.01, max: 100, noNaN: true }),
    interest: fc.constantFrom(0, 0.5, 1, 2),
  }),
  { minLength: 1, maxLength: 40 },
);

test("one event is worth a half after one half-life and a quarter after two", () => {
  for (const life of LIVES) {
    const state = apply([one(T)]);
    expect(read(state, FAVORITE, life, T)).toBe(1);
    expect(read(state, FAVORITE, life, T + HALF_LIFE_MS[life])).toBe(0.5);
    expect(read(state, FAVORITE, life, T + 2 * HALF_LIFE_MS[life])).toBe(0.25);
  }
});

test("a steady stream reaches the sum of its geometric series", () => {
  const gap = 600_000;
  const state = apply(Array.from({ length: 500 }, (_, i) => one(T + i * gap)));
  const factor = 2 ** (-gap / HALF_LIFE_MS["30m"]);
  const limit = (1 - factor ** 500) / (1 - factor);
  expect(read(state, FAVORITE, "30m", T + 499 * gap)).toBeCloseTo(limit, 10);
});

test("a late event adds what is left of it and does not move the block's time", () => {
  const state = apply([one(T + HALF_LIFE_MS["1d"]), one(T)]);
  expect(state[AT]).toBe(T + HALF_LIFE_MS["1d"]);
  expect(read(state, FAVORITE, "1d", T + HALF_LIFE_MS["1d"])).toBe(1.5);
});

test("events of equal time add up without decay", () => {
  const state = apply([one(T, 2), one(T, 3)]);
  expect(LIVES.map((life) => read(state, FAVORITE, life, T))).toEqual([5, 5, 5]);
});

test("reading at a time before the state's does not grow it", () => {
  expect(read(apply([one(T)]), FAVORITE, "30m", T - 1_000_000)).toBe(1);
});

test("every counter of the block equals the sum over its events, in any order", () => {
  fc.assert(
    fc.property(additions, fc.infiniteStream(fc.nat()), (list, order) => {
      const shuffled = list
        .map((addition) => ({ addition, key: order.next().value }))
        .sort((a, b) => a.key - b.key)
        .map(({ addition }) => addition);
      const sorted = [...list].sort((a, b) => a.timeMs - b.timeMs);
      const now = Math.max(...list.map((addition) => addition.timeMs)) + 1000;
      for (const life of LIVES)
        for (const signal of [IMPRESSION, FAVORITE, INTEREST]) {
          const expected = closedForm(list, signal, life, now);
          const tolerance = 1e-9 * Math.abs(expected);
          const inOrder = read(apply(sorted), signal, life, now);
          expect(Math.abs(inOrder - expected)).toBeLessThanOrEqual(tolerance);
          const outOfOrder = read(apply(shuffled), signal, life, now);
          expect(Math.abs(outOfOrder - inOrder)).toBeLessThanOrEqual(tolerance);
        }
    }),
  );
});

test("signals that the block does not count change nothing", () => {
  const state = fresh();
  counters.add(state, AT, T, signalIndex("reply"), 1, INTEREST, 0);
  expect(state).toEqual(fresh());
  expect(() => counters.slot(signalIndex("reply"), "1d")).toThrow(RangeError);
});

test("interest is counted for a signal that has no counter of its own", () => {
  const state = fresh();
  counters.add(state, AT, T, signalIndex("reply"), 1, INTEREST, 1);
  expect(read(state, INTEREST, "1d", T)).toBe(1);
  expect(read(state, FAVORITE, "1d", T)).toBe(0);
});

test("the block leaves the slots around it alone", () => {
  const state = fresh()
    .fill(7, 0, AT)
    .fill(7, AT + counters.slots);
  counters.add(state, AT, T, FAVORITE, 1, INTEREST, 1);
  counters.add(state, AT, T + 50_000_000, IMPRESSION, 1, INTEREST, 1);
  expect([...state.subarray(0, AT), state.at(-1)]).toEqual([7, 7, 7]);
});

test("an event at the epoch decays like any other", () => {
  const state = apply([one(0), one(HALF_LIFE_MS["1d"] + 1)]);
  expect(read(state, FAVORITE, "1d", HALF_LIFE_MS["1d"] + 1)).toBe(1.5);
});

test("a smoothed log rate ratio is 0 at the prior, ln of the ratio far from it, and missing without a prior", () => {
  expect(logRateRatio(0, 0, 0.2, 10)).toBe(0);
  expect(logRateRatio(20, 100, 0.2, 10)).toBeCloseTo(0, 12);
  expect(logRateRatio(4e8, 1e9, 0.2, 10)).toBeCloseTo(Math.log(2), 6);
  expect(logRateRatio(-3, 10, 0.2, 10)).toBe(logRateRatio(0, 10, 0.2, 10));
  expect(logRateRatio(1, 10, 0, 10)).toBeNaN();
  expect(logRateRatio(1, 10, Number.NaN, 10)).toBeNaN();
});
