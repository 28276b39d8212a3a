import fc from "fast-check";
import { expect, test } from "vitest";
import { populationStability, referenceBins } from "./population-stability.ts";

const to = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

test("a uniform reference of 100 values has ten bins of ten", () => {
  const { edges, shares } = referenceBins(to(100));
  expect([...edges]).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
  expect([...shares]).toEqual([...Array(10).fill(0.1), 0, 0]);
});

test("the index is the one worked out by hand", () => {
  // Reference ½ 0, ½ 1. Now ¼ 0, ¾ 1: (.25 − .5)·ln(.25/.5) + (.75 − .5)·ln(.75/.5) = .25·ln 2 + .25·ln 1.5 = .27465.
  const half = referenceBins([0, 1, 0, 1]);
  expect(populationStability(half, [0, 1, 1, 1])).toBeCloseTo(0.274653072167027, 12);
  // Uniform deciles, now all in the lower five: 5·(.2 − .1)·ln 2 + 5·(.0001 − .1)·ln(.0001/.1) = .34657 + 3.45042.
  const deciles = referenceBins(to(100));
  const lower = to(50);
  expect(populationStability(deciles, lower)).toBeCloseTo(
    0.5 * Math.log(2) + 5 * 0.0999 * Math.log(1000),
    12,
  );
  expect(populationStability(deciles, lower)).toBeCloseTo(3.796997, 5);
});

test("missing values are a bin of their own", () => {
  // Reference ¼ missing, now ½: missing .25·ln 2, and the value's bin (.5 − .75)·ln(.5/.75).
  const bins = referenceBins([Number.NaN, 5, 5, 5]);
  const expected = 0.25 * Math.log(2) + 0.25 * Math.log(1.5);
  expect(populationStability(bins, [Number.NaN, Number.NaN, 5, 5])).toBeCloseTo(expected, 12);
  expect(populationStability(bins, [Number.POSITIVE_INFINITY, Number.NaN, 5, 5])).toBeCloseTo(
    expected,
    12,
  );
  const none = referenceBins([Number.NaN, Number.NaN]);
  expect(populationStability(none, [Number.NaN])).toBe(0);
  expect(populationStability(none, [1])).toBeGreaterThan(9);
});

test("a value that fills a decile has a bin of its own, wherever it stands", () => {
  const mostlyTop = [...to(5), ...Array(95).fill(9)];
  expect([...referenceBins(mostlyTop).edges]).toEqual([5, 9]);
  // What was at the top is now split between it and the low end, which one common bin would hide.
  const now = [...Array(50).fill(3), ...Array(50).fill(9)];
  expect(populationStability(referenceBins(mostlyTop), now)).toBeGreaterThan(1);
  const mostlyZero = [...Array(95).fill(0), ...to(5)];
  expect([...referenceBins(mostlyZero).edges]).toEqual([0, 5]);
});

test("it is 0 against itself, never negative, blind to order and to any increasing map", () => {
  const values = fc.array(fc.oneof(fc.integer({ min: -20, max: 20 }), fc.constant(Number.NaN)), {
    minLength: 1,
    maxLength: 80,
  });
  fc.assert(
    fc.property(values, values, (reference, now) => {
      const bins = referenceBins(reference);
      expect(populationStability(bins, [...reference].reverse())).toBeCloseTo(0, 12);
      const index = populationStability(bins, now);
      expect(index).toBeGreaterThanOrEqual(0);
      const map = (value: number): number => value ** 3 + value;
      expect(populationStability(referenceBins(reference.map(map)), now.map(map))).toBeCloseTo(
        index,
        12,
      );
    }),
  );
});

test("without values there is no index", () => {
  expect(populationStability(referenceBins([]), [1])).toBeNaN();
  expect(populationStability(referenceBins([1]), [])).toBeNaN();
});
