import { describe, expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { auc, aucMetric } from "./auc.ts";

/** Equal to 12 digits, or both undefined. */
function expectSame(actual: number, expected: number): void {
  if (Number.isNaN(expected)) expect(actual).toBeNaN();
  else expect(actual).toBeCloseTo(expected, 12);
}

/** Counts pairs one by one. */
function bruteAuc(scores: number[], labels: number[], weights = scores.map(() => 1)): number {
  let [won, pairs] = [0, 0];
  for (let i = 0; i < scores.length; i++) {
    for (let j = 0; j < scores.length; j++) {
      if (labels[i] !== 1 || labels[j] !== 0) continue;
      const weight = (weights[i] as number) * (weights[j] as number);
      const [a, b] = [scores[i] as number, scores[j] as number];
      won += weight * (a > b ? 1 : a === b ? 0.5 : 0);
      pairs += weight;
    }
  }
  return pairs > 0 ? won / pairs : Number.NaN;
}

const rows = (scores: number[], labels: number[]) => ({
  scores: Float64Array.from(scores),
  labels: Uint8Array.from(labels),
});

describe("auc", () => {
  test("gives the textbook values", () => {
    expect(auc(rows([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]))).toBe(0.75);
    expect(auc(rows([1, 2, 3], [0, 0, 1]))).toBe(1);
    expect(auc(rows([3, 2, 1], [0, 0, 1]))).toBe(0);
  });

  test("counts a tie as half, wherever it stands in the input", () => {
    expect(auc(rows([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1]))).toBe(0.5);
    expect(auc(rows([0.5, 0.5, 0.9], [1, 0, 0]))).toBe(0.25);
    expect(auc(rows([0.9, 0.5, 0.5], [0, 0, 1]))).toBe(0.25);
    expect(auc(rows([0, -0], [1, 0]))).toBe(0.5);
  });

  test("agrees with counting all pairs on tied, weighted, infinite and Float32 scores", () => {
    const draw = random(11, "auc");
    for (let round = 0; round < 60; round++) {
      const n = 1 + draw.below(40);
      const levels = 1 + draw.below(12);
      const scores = Array.from({ length: n }, () => draw.below(levels) - 4);
      if (draw.next() < 0.2) scores[0] = Number.NEGATIVE_INFINITY;
      if (draw.next() < 0.2) scores[n - 1] = Number.POSITIVE_INFINITY;
      const labels = scores.map(() => draw.below(2));
      const weights = scores.map(() => draw.below(4) / 2);
      const plain = rows(scores, labels);
      expectSame(auc(plain), bruteAuc(scores, labels));
      const weighted = { ...plain, weights: Float64Array.from(weights) };
      expectSame(auc(weighted), bruteAuc(scores, labels, weights));
      expect(auc({ ...plain, scores: Float32Array.from(scores) })).toBe(auc(plain));
    }
  });

  test("equals the binormal closed form Φ(d / √2) on a large sample", () => {
    const draw = random(3, "binormal");
    const n = 200_000;
    const labels = Uint8Array.from({ length: n }, () => draw.below(2));
    const scores = Float64Array.from(labels, (label) => draw.normal() + label);
    // Φ(1 / √2) = 0.7602499; the standard error at this size is below 0.0011.
    expect(Math.abs(auc({ scores, labels }) - 0.7602499)).toBeLessThan(0.0033);
  });

  test("a unit of weight 2 counts as if its rows stood twice, of weight 0 as if they were gone", () => {
    const draw = random(5, "units");
    const n = 300;
    const units = Int32Array.from({ length: n }, () => draw.below(20));
    const scores = Float64Array.from({ length: n }, () => draw.below(50));
    const labels = Uint8Array.from({ length: n }, () => draw.below(2));
    const times = Float64Array.from({ length: 20 }, () => draw.below(4));
    const repeated: number[] = [];
    for (let row = 0; row < n; row++) {
      for (let i = 0; i < (times[units[row] as number] as number); i++) repeated.push(row);
    }
    const prepared = aucMetric.prepare({ scores, labels, units });
    expect(prepared.unitCount).toBe(20);
    expect(prepared.value(times)).toBeCloseTo(
      auc({
        scores: Float64Array.from(repeated, (row) => scores[row] as number),
        labels: Uint8Array.from(repeated, (row) => labels[row] as number),
      }),
      12,
    );
  });

  test("is undefined for one class, no rows, or a class without weight", () => {
    expect(auc(rows([1, 2], [1, 1]))).toBeNaN();
    expect(auc(rows([1, 2], [0, 0]))).toBeNaN();
    expect(auc(rows([], []))).toBeNaN();
    expect(auc({ ...rows([1, 2], [0, 1]), weights: Float64Array.of(0, 1) })).toBeNaN();
  });
});
