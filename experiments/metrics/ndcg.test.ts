import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { type Gain, ndcgAtK, ndcgMetric, ndcgOfOrder } from "./ndcg.ts";

const oneList = (scores: number[], labels: number[]) => ({
  scores: Float64Array.from(scores),
  labels: Float64Array.from(labels),
  groups: new Int32Array(scores.length),
});

/** Averages over every order that the scores allow. */
function bruteNdcg(scores: number[], labels: number[], k: number, gain: Gain): number {
  const gains = labels.map((label) => (gain === "linear" ? label : 2 ** label - 1));
  const dcg = (order: number[]): number =>
    order.slice(0, k).reduce((sum, row, i) => sum + (gains[row] as number) / Math.log2(i + 2), 0);
  const permutations = (rows: number[]): number[][] =>
    rows.length === 0
      ? [[]]
      : rows.flatMap((row) => permutations(rows.filter((r) => r !== row)).map((p) => [row, ...p]));
  const orders = permutations(scores.map((_, row) => row));
  const allowed = orders.filter((order) =>
    order.every(
      (row, i) => i === 0 || (scores[order[i - 1] as number] as number) >= (scores[row] as number),
    ),
  );
  const ideal = Math.max(...orders.map(dcg));
  return allowed.reduce((sum, order) => sum + dcg(order), 0) / allowed.length / ideal;
}

test("gives the well-known graded example 3 2 3 0 1 2", () => {
  const rows = oneList([6, 5, 4, 3, 2, 1], [3, 2, 3, 0, 1, 2]);
  expect(ndcgAtK(rows, 6)).toBeCloseTo(0.9608081943360617, 12);
  expect(ndcgAtK(rows, 6, "exponential")).toBeCloseTo(0.9488107485678985, 12);
});

test("is 1 for the ideal order and discounts by log₂(1 + rank)", () => {
  expect(ndcgAtK(oneList([3, 2, 1], [1, 0, 0]), 3)).toBe(1);
  expect(ndcgAtK(oneList([3, 2, 1], [0, 1, 0]), 3)).toBeCloseTo(1 / Math.log2(3), 15);
  expect(ndcgAtK(oneList([3, 2, 1], [0, 0, 1]), 2)).toBe(0);
});

test("ties give the mean over all orders that they allow, for both gains and every cut", () => {
  const draw = random(12, "ndcg");
  for (let round = 0; round < 25; round++) {
    const n = 2 + draw.below(5);
    const scores = Array.from({ length: n }, () => draw.below(3));
    const labels = Array.from({ length: n }, () => draw.below(4));
    labels[0] = 1 + (labels[0] as number);
    for (const gain of ["linear", "exponential"] as const) {
      for (const k of [1, 2, n, n + 3]) {
        const expected = bruteNdcg(scores, labels, k, gain);
        expect(ndcgAtK(oneList(scores, labels), k, gain)).toBeCloseTo(expected, 12);
      }
    }
  }
});

test("lists without a gain are left out, the others count once, and unit weights repeat them", () => {
  const rows = {
    scores: Float64Array.of(2, 1, 2, 1, 2, 1),
    labels: Float64Array.of(1, 0, 0, 1, 0, 0),
    groups: Int32Array.of(0, 0, 1, 1, 2, 2),
  };
  const second = 1 / Math.log2(3);
  expect(ndcgAtK(rows, 2)).toBeCloseTo((1 + second) / 2, 15);
  const prepared = ndcgMetric(2).prepare(rows);
  expect(prepared.value(Float64Array.of(1, 3, 9))).toBeCloseTo((1 + 3 * second) / 4, 15);
  expect(prepared.value(Float64Array.of(0, 0, 1))).toBeNaN();
});

test("is undefined without any list or gain", () => {
  expect(ndcgAtK(oneList([], []), 5)).toBeNaN();
  expect(ndcgAtK(oneList([1, 2], [0, 0]), 5)).toBeNaN();
  expect(() => ndcgAtK({ ...oneList([1], [1]), weights: Float64Array.of(1) }, 5)).toThrow(
    /weights/,
  );
});

test("a given order has the NDCG of scores that put the rows in it", () => {
  const gains = Float64Array.of(0.2, 3, 0, 1.5, 0.7, 2);
  const order = [4, 1, 0, 5, 2, 3];
  const scores = new Float64Array(6);
  order.forEach((row, place) => {
    scores[row] = -place;
  });
  for (const k of [1, 2, 3, 5, 6, 50])
    expect(ndcgOfOrder(gains, order, k)).toBeCloseTo(
      ndcgAtK({ scores, labels: gains, groups: new Int32Array(6) }, k),
      12,
    );
});

test("an order that stops early earns nothing where it is silent, and bad input is named", () => {
  const gains = Float64Array.of(1, 1, 1);
  expect(ndcgOfOrder(gains, [0], 3)).toBeCloseTo(1 / (1 + 1 / Math.log2(3) + 1 / 2), 12);
  expect(ndcgOfOrder(new Float64Array(2), [0, 1], 2)).toBeNaN();
  expect(() => ndcgOfOrder(gains, [0], 0)).toThrow(/k is 0/);
  expect(() => ndcgOfOrder(gains, [7], 3)).toThrow(/order\[0\] is 7/);
  expect(() => ndcgOfOrder(Float64Array.of(1, -1), [0], 1)).toThrow(/gains\[1\] is -1/);
});
