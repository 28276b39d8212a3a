import { describe, expect, test } from "vitest";
import { RoostError } from "../../errors.ts";
import { auc } from "./auc.ts";
import { calibration } from "./calibration.ts";
import { groupedAuc } from "./grouped-auc.ts";
import { logLoss } from "./log-loss.ts";
import { ndcgAtK } from "./ndcg.ts";
import { observedRows, type ScoredRows } from "./scored-rows.ts";

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof RoostError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no error";
};

describe("what metrics refuse", () => {
  const good: ScoredRows = { scores: Float64Array.of(0.2, 0.7), labels: Uint8Array.of(0, 1) };

  test("columns of different length, by name", () => {
    expect(codeOf(() => auc({ ...good, scores: Float64Array.of(1) }))).toMatch(
      /^COLUMN_LENGTH.*scores has 1, labels 2/,
    );
    expect(codeOf(() => auc({ ...good, weights: Float64Array.of(1) }))).toMatch(/weights has 1/);
  });

  test.each([
    ["a NaN score", { scores: Float64Array.of(0.1, Number.NaN) }, /scores\[1\] is NaN/],
    ["a label of 2", { labels: Uint8Array.of(2, 1) }, /labels\[0\] is 2/],
    ["a negative weight", { weights: Float64Array.of(1, -1) }, /weights\[1\] is -1/],
    ["an infinite weight", { weights: Float64Array.of(1 / 0, 1) }, /weights\[0\] is Infinity/],
    ["a negative unit", { units: Int32Array.of(0, -1) }, /units\[1\] is -1/],
    ["a negative group", { groups: Int32Array.of(-3, 0) }, /groups\[0\] is -3/],
  ])("%s, naming column and row", (_, change, message) => {
    expect(codeOf(() => auc({ ...good, ...change }))).toMatch(/^BAD_METRIC_INPUT/);
    expect(codeOf(() => auc({ ...good, ...change }))).toMatch(message);
  });

  test("a score outside 0–1 where probabilities are needed, and only there", () => {
    const scores = Float64Array.of(0.2, 1.5);
    expect(auc({ ...good, scores })).toBe(1);
    expect(codeOf(() => logLoss({ ...good, scores }))).toMatch(/scores\[1\] is 1.5/);
    expect(codeOf(() => calibration({ ...good, scores }))).toMatch(/scores\[1\] is 1.5/);
  });

  test("missing groups where lists are needed, and negative or infinite gains", () => {
    expect(codeOf(() => groupedAuc(good))).toMatch(/groups is missing/);
    expect(codeOf(() => ndcgAtK(good, 5))).toMatch(/groups is missing/);
    const lists = { ...good, groups: Int32Array.of(0, 0) };
    const labels = Float64Array.of(-1, 1);
    expect(codeOf(() => ndcgAtK({ ...lists, labels }, 5))).toMatch(/labels\[0\] is -1/);
    expect(codeOf(() => ndcgAtK({ ...lists, labels: Float64Array.of(1 / 0, 1) }, 5))).toMatch(
      /labels\[0\] is Infinity/,
    );
    expect(codeOf(() => ndcgAtK(lists, 0))).toMatch(/k is 0/);
  });
});

test("rows with a NaN label are left out of every column, whatever their score", () => {
  const observed = observedRows(
    {
      scores: Float64Array.of(Number.NaN, 0.5, 0.6),
      labels: Float64Array.of(Number.NaN, 1, 0),
      weights: Float64Array.of(-1, 2, 3),
      groups: Int32Array.of(4, 1, 0),
    },
    { scores: "probability", labels: "binary" },
  );
  expect(observed).toMatchObject({ n: 2, groupCount: 5, unitCount: 5 });
  expect(Array.from(observed.scores)).toEqual([0.5, 0.6]);
  expect(Array.from(observed.weights ?? [])).toEqual([2, 3]);
  expect(Array.from(observed.units)).toEqual([1, 0]);
});
