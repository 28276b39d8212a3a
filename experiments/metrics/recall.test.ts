import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { recallAtK, recallMetric, recallOfIds } from "./recall.ts";

const oneList = (scores: number[], labels: number[]) => ({
  scores: Float64Array.from(scores),
  labels: Uint8Array.from(labels),
  groups: new Int32Array(scores.length),
});

test("is the share of positives among the k best", () => {
  const rows = oneList([9, 8, 7, 6, 5], [1, 0, 1, 0, 1]);
  expect([1, 2, 3, 5, 50].map((k) => recallAtK(rows, k))).toEqual([1 / 3, 1 / 3, 2 / 3, 1, 1]);
});

test("a tie cut by rank k counts its expectation", () => {
  // One place is left for a run of 4 with 2 positives: 2/4 of a hit.
  expect(recallAtK(oneList([9, 5, 5, 5, 5], [1, 1, 1, 0, 0]), 2)).toBeCloseTo(1.5 / 3, 15);
  expect(recallAtK(oneList([1, 1, 1], [0, 0, 1]), 1)).toBeCloseTo(1 / 3, 15);
});

test("averages lists, leaving out those without positives", () => {
  const rows = {
    scores: Float64Array.of(2, 1, 2, 1, 2, 1),
    labels: Uint8Array.of(1, 0, 0, 1, 0, 0),
    groups: Int32Array.of(0, 0, 1, 1, 2, 2),
  };
  expect(recallAtK(rows, 1)).toBe(0.5);
  expect(
    recallMetric(1)
      .prepare(rows)
      .value(Float64Array.of(3, 1, 5)),
  ).toBe(0.75);
  expect(recallAtK(oneList([1], [0]), 1)).toBeNaN();
});

test("of ids: repeats count once, nothing relevant is undefined", () => {
  const relevant = new Set(["a", "b", "c", "d"]);
  expect(recallOfIds(["a", "a", "x", "b", "c"], relevant, 4)).toBe(0.5);
  expect(recallOfIds([], relevant, 4)).toBe(0);
  expect(recallOfIds(["a"], new Set(), 4)).toBeNaN();
  expect(() => recallOfIds(["a"], relevant, 0)).toThrow(/k is 0/);
});

const oracle = join(
  process.env.ROOST_SHARED ?? "../shared",
  "conformance/numeric-oracles/rank-agreement.json",
);
test.skipIf(!existsSync(oracle))(
  `equals overlap@3 of the rank-agreement oracle (needs ${oracle})`,
  () => {
    const { lists } = JSON.parse(readFileSync(oracle, "utf8")) as {
      lists: { a: string[]; b: string[]; overlapAt3: number }[];
    };
    expect(lists.length).toBeGreaterThan(3);
    for (const { a, b, overlapAt3 } of lists) {
      const relevant = new Set(b.slice(0, 3));
      expect(recallOfIds(a, relevant, 3)).toBeCloseTo(overlapAt3, 10);
    }
  },
);
