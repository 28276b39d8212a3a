import { expect, test } from "vitest";
import { ndcgIntervals, type RequestNdcg, slateNdcg } from "./slate-ndcg.ts";

const options = { seed: 1, rounds: 200 };
const request = (user: number, full: number): RequestNdcg => ({
  user,
  ndcg: new Map([["full", [full, full / 2]]]),
});

test("a slate's NDCG is 1 in the order of value and falls by the discount of what was misplaced", () => {
  const values = Float64Array.of(3, 2, 1);
  expect(slateNdcg(values, [0, 1, 2])).toEqual([1, 1]);
  const dcg = (first: number, second: number, third: number): number =>
    first + second / Math.log2(3) + third / 2;
  expect(slateNdcg(values, [2, 0, 1])[0]).toBeCloseTo(dcg(1, 3, 2) / dcg(3, 2, 1), 12);
});

test("a post of negative value counts as one of no value", () => {
  const order = [2, 0, 1];
  expect(slateNdcg(Float64Array.of(3, 2, -50), order)).toEqual(
    slateNdcg(Float64Array.of(3, 2, 0), order),
  );
});

test("a request without any value has no NDCG and does not enter the mean", () => {
  expect(slateNdcg(Float64Array.of(-1, 0), [0, 1])).toEqual([Number.NaN, Number.NaN]);
  const [at10, at50] = ndcgIntervals(
    [request(0, 0.4), request(1, Number.NaN), request(2, 0.8)],
    options,
  ).get("full") as { value: number }[];
  expect(at10?.value).toBeCloseTo(0.6, 12);
  expect(at50?.value).toBeCloseTo(0.3, 12);
});

test("the interval resamples users and agrees with the normal one of the mean", () => {
  const values = Array.from({ length: 400 }, (_, i) => 0.5 + 0.3 * Math.sin(i * 12.9898));
  const mean = values.reduce((a, b) => a + b) / values.length;
  const deviation = Math.sqrt(
    values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1),
  );
  const half = (1.96 * deviation) / Math.sqrt(values.length);
  const [interval] = ndcgIntervals(
    values.map((value, user) => request(user, value)),
    { seed: 3, rounds: 2000 },
  ).get("full") as { value: number; low: number; high: number }[];
  expect(interval?.value).toBeCloseTo(mean, 12);
  expect(interval?.low).toBeCloseTo(mean - half, 2);
  expect(interval?.high).toBeCloseTo(mean + half, 2);
});
