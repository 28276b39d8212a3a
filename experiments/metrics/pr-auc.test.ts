import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { prAuc, prAucMetric } from "./pr-auc.ts";

/** Equal to 12 digits, or both undefined. */
function expectSame(actual: number, expected: number): void {
  if (Number.isNaN(expected)) expect(actual).toBeNaN();
  else expect(actual).toBeCloseTo(expected, 12);
}

/** Walks every distinct threshold and counts from scratch. */
function bruteAveragePrecision(scores: number[], labels: number[], weights: number[]): number {
  const thresholds = [...new Set(scores)].sort((a, b) => b - a);
  const weigh = (keep: (row: number) => boolean): number =>
    scores.reduce((sum, _, row) => sum + (keep(row) ? (weights[row] as number) : 0), 0);
  const positives = weigh((row) => labels[row] === 1);
  if (!(positives > 0)) return Number.NaN;
  let [sum, recall] = [0, 0];
  for (const threshold of thresholds) {
    const hits = weigh((row) => (scores[row] as number) >= threshold && labels[row] === 1);
    const taken = weigh((row) => (scores[row] as number) >= threshold);
    if (taken > 0) sum += (hits / positives - recall) * (hits / taken);
    recall = hits / positives;
  }
  return sum;
}

test("gives scikit-learn's documented example", () => {
  const scores = Float64Array.of(0.1, 0.4, 0.35, 0.8);
  expect(prAuc({ scores, labels: Uint8Array.of(0, 0, 1, 1) })).toBeCloseTo(0.8333333333333333, 15);
});

test("is the base rate for constant scores and 1 for a perfect order", () => {
  const labels = Uint8Array.of(1, 0, 0, 0);
  expect(prAuc({ scores: new Float64Array(4), labels })).toBe(0.25);
  expect(prAuc({ scores: Float64Array.of(4, 3, 2, 1), labels })).toBe(1);
});

test("agrees with walking the thresholds on tied, weighted and resampled rows", () => {
  const draw = random(8, "pr");
  for (let round = 0; round < 60; round++) {
    const n = 1 + draw.below(30);
    const scores = Array.from({ length: n }, () => draw.below(8));
    const labels = scores.map(() => draw.below(2));
    const weights = scores.map(() => draw.below(4));
    const units = scores.map(() => draw.below(3));
    units[0] = 2;
    const times = [draw.below(3), draw.below(3), draw.below(3)];
    const prepared = prAucMetric.prepare({
      scores: Float64Array.from(scores),
      labels: Uint8Array.from(labels),
      weights: Float64Array.from(weights),
      units: Int32Array.from(units),
    });
    expectSame(prepared.value(), bruteAveragePrecision(scores, labels, weights));
    const total = weights.map((weight, row) => weight * (times[units[row] as number] as number));
    const resampled = prepared.value(Float64Array.from(times));
    expectSame(resampled, bruteAveragePrecision(scores, labels, total));
  }
});

test("is undefined without positives, and 1 without negatives", () => {
  const scores = Float64Array.of(1, 2);
  expect(prAuc({ scores, labels: Uint8Array.of(0, 0) })).toBeNaN();
  expect(prAuc({ scores: new Float64Array(), labels: new Uint8Array() })).toBeNaN();
  expect(prAuc({ scores, labels: Uint8Array.of(1, 1) })).toBe(1);
});
