import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bucketRanges, chooseVariation, equalWeights } from "./bucket-ranges.ts";

const weights = fc
  .array(fc.integer({ min: 1, max: 100 }), { minLength: 2, maxLength: 6 })
  .map((parts) => parts.map((part) => part / parts.reduce((a, b) => a + b)));
const share = fc.double({ min: 0, max: 1, noNaN: true });

describe("bucket ranges", () => {
  test("start where they start at full coverage, whatever the coverage", () => {
    fc.assert(
      fc.property(weights, share, (given, coverage) => {
        const full = bucketRanges(given.length, 1, given).map(([start]) => start);
        expect(bucketRanges(given.length, coverage, given).map(([start]) => start)).toEqual(full);
      }),
    );
  });

  test("raising coverage adds buckets and moves none to another variation", () => {
    fc.assert(
      fc.property(weights, share, share, share, (given, a, b, n) => {
        const before = chooseVariation(n, bucketRanges(given.length, Math.min(a, b), given));
        const after = chooseVariation(n, bucketRanges(given.length, Math.max(a, b), given));
        if (before >= 0) expect(after).toBe(before);
      }),
    );
  });

  test("hold each variation's weight times coverage", () => {
    fc.assert(
      fc.property(weights, share, (given, coverage) => {
        const widths = bucketRanges(given.length, coverage, given).map(
          ([start, end]) => end - start,
        );
        for (const [i, width] of widths.entries()) {
          expect(width).toBeCloseTo(coverage * (given[i] as number), 12);
        }
      }),
    );
  });

  test("are half-open, and the first that holds a bucket wins", () => {
    const ranges = [
      [0, 0.5],
      [0.5, 1],
      [0.4, 0.9],
    ] as const;
    expect([0, 0.4999, 0.5, 1].map((n) => chooseVariation(n, ranges))).toEqual([0, 0, 1, -1]);
    expect(chooseVariation(0.3, [])).toBe(-1);
  });

  test("equal weights of no variation are none", () => {
    expect([equalWeights(-2), equalWeights(0), equalWeights(4)]).toEqual([
      [],
      [],
      [0.25, 0.25, 0.25, 0.25],
    ]);
  });
});
