import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { auc } from "./auc.ts";
import { groupedAuc, groupedAucMetric } from "./grouped-auc.ts";

test("averages each group's AUC by impressions and leaves groups with one class out", () => {
  const result = groupedAuc({
    scores: Float64Array.of(0.9, 0.1, 0.2, 0.8, 0.5, 0.5, 0.7),
    labels: Uint8Array.of(1, 0, 1, 0, 1, 1, 0),
    groups: Int32Array.of(0, 0, 1, 1, 2, 2, 0),
  });
  // Group 0 (3 rows): 1; group 1 (2 rows): 0; group 2: one class.
  expect(result).toEqual({ value: 3 / 5, groups: 2, impressionShare: 5 / 7 });
});

test("agrees with computing every group apart, with weights, ties and empty groups", () => {
  const draw = random(2, "gauc");
  const n = 2000;
  const groupCount = 60;
  const groups = Int32Array.from({ length: n }, () => 2 * draw.below(groupCount));
  const scores = Float32Array.from({ length: n }, () => draw.below(9) / 9);
  const labels = Uint8Array.from({ length: n }, () => (draw.next() < 0.06 ? 1 : 0));
  const weights = Float64Array.from({ length: n }, () => draw.below(5));
  let [sum, total, defined] = [0, 0, 0];
  for (let group = 0; group < 2 * groupCount; group++) {
    const rows = Array.from(groups.keys()).filter((row) => groups[row] === group);
    const value = auc({
      scores: Float32Array.from(rows, (row) => scores[row] as number),
      labels: Uint8Array.from(rows, (row) => labels[row] as number),
      weights: Float64Array.from(rows, (row) => weights[row] as number),
    });
    if (Number.isNaN(value)) continue;
    const impressions = rows.reduce((acc, row) => acc + (weights[row] as number), 0);
    sum += value * impressions;
    total += impressions;
    defined++;
  }
  const result = groupedAuc({ scores, labels, weights, groups });
  expect(result.value).toBeCloseTo(sum / total, 12);
  expect(result.groups).toBe(defined);
  expect(defined).toBeGreaterThan(20);
  expect(defined).toBeLessThan(groupCount);
});

test("is undefined when no group has both classes", () => {
  const rows = {
    scores: Float64Array.of(0.9, 0.1),
    labels: Uint8Array.of(1, 0),
    groups: Int32Array.of(0, 1),
  };
  expect(groupedAuc(rows)).toEqual({ value: Number.NaN, groups: 0, impressionShare: 0 });
});

test("a group with rows of two units is refused, as units could not be resampled", () => {
  const rows = {
    scores: Float64Array.of(0.9, 0.1),
    labels: Uint8Array.of(1, 0),
    groups: Int32Array.of(0, 0),
    units: Int32Array.of(0, 1),
  };
  expect(() => groupedAucMetric.prepare(rows)).toThrow(/group 0 has rows of units 0 and 1/);
});

test("several groups of one unit take that unit's weight together", () => {
  const prepared = groupedAucMetric.prepare({
    scores: Float64Array.of(0.9, 0.1, 0.9, 0.1, 0.9, 0.1),
    labels: Uint8Array.of(1, 0, 0, 1, 0, 1),
    groups: Int32Array.of(0, 0, 1, 1, 2, 2),
    units: Int32Array.of(0, 0, 0, 0, 1, 1),
  });
  expect(prepared.value()).toBeCloseTo(1 / 3, 12);
  expect(prepared.value(Float64Array.of(1, 0))).toBe(0.5);
  expect(prepared.value(Float64Array.of(3, 1))).toBeCloseTo(3 / 7, 12);
  expect(prepared.value(Float64Array.of(0, 0))).toBeNaN();
});
