import { expect, test } from "vitest";
import { examination } from "../../datasets/world/examination.ts";
import { gainRatio, gainShares, type RequestValues, slateValue } from "./gain-share.ts";

const request = (user: number, values: Record<string, number>): RequestValues => ({
  user,
  values: new Map(Object.entries(values)),
});
const options = { seed: 1, rounds: 200 };

test("a slate's value weighs each position by the chance that it is looked at", () => {
  const values = Float64Array.of(2, -1, 5);
  const by = (order: number[]): number => slateValue(values, order);
  expect(by([2, 0, 1])).toBeCloseTo(5 + 2 * examination(1) - examination(2), 12);
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 1, 0],
  ];
  for (const order of orders) expect(by(order)).toBeLessThan(by([2, 0, 1]));
});

test("only the first fifty positions count", () => {
  const values = new Float64Array(60).fill(1);
  const fifty = Array.from({ length: 50 }, (_, i) => examination(i)).reduce((a, b) => a + b);
  expect(slateValue(values, [...values.keys()])).toBeCloseTo(fifty, 12);
});

test("gain shares are ratios of sums: chronological 0, oracle 1, in between by gained value", () => {
  const requests = [
    request(0, { chronological: 1, full: 2, oracle: 3 }),
    request(1, { chronological: 0, full: 9, oracle: 10 }),
  ];
  const shares = gainShares(requests, options);
  expect(shares.get("chronological")?.value).toBe(0);
  expect(shares.get("oracle")?.value).toBe(1);
  expect(shares.get("full")?.value).toBeCloseTo(10 / 12, 12);
});

test("a ranker that is worse than chronological has a negative share", () => {
  const shares = gainShares([request(0, { chronological: 2, popularity: 1, oracle: 4 })], options);
  expect(shares.get("popularity")?.value).toBeCloseTo(-0.5, 12);
});

test("the interval resamples users: it holds the truth of a planted share about as often as it says", () => {
  let held = 0;
  const worlds = 60;
  for (let world = 0; world < worlds; world++) {
    const requests = Array.from({ length: 80 }, (_, user) => {
      // A user's gain is 1 in all; the ranker gets .6 of it in the mean, with noise that differs by world and user.
      const noise = Math.sin((world * 80 + user) * 12.9898) * 0.4;
      return request(user, { chronological: 0, full: 0.6 + noise, oracle: 1 });
    });
    const { low, high } = gainShares(requests, { seed: world, rounds: 200 }).get("full") as {
      low: number;
      high: number;
    };
    if (low <= 0.6 && 0.6 <= high) held++;
  }
  expect(held).toBeGreaterThanOrEqual(50);
});

test("the ratio of two rankers' gains is taken under the same resamples", () => {
  const requests = Array.from({ length: 30 }, (_, user) =>
    request(user, {
      chronological: 0,
      full: 0.8 * (user + 1),
      visible: user + 1,
      oracle: user + 2,
    }),
  );
  const ratio = gainRatio(requests, "full", "visible", options);
  expect(ratio.value).toBeCloseTo(0.8, 12);
  // Every user has the same ratio, so no resample changes it.
  expect(ratio.low).toBeCloseTo(0.8, 9);
  expect(ratio.high).toBeCloseTo(0.8, 9);
});
