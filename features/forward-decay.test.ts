import { expect, test } from "vitest";
import { forwardWeight } from "./forward-decay.ts";

const DAY = 86_400_000;

test("dividing by the weight of now leaves what is 50 days old half of its worth", () => {
  const now = Date.UTC(2026, 3, 1);
  expect(forwardWeight(now - 50 * DAY) / forwardWeight(now)).toBeCloseTo(0.5, 12);
  expect(forwardWeight(now - 25 * DAY) / forwardWeight(now)).toBeCloseTo(Math.SQRT1_2, 12);
});

test("sums stay exact from long before the reference to long after it", () => {
  for (const year of [1970, 2020, 2100]) {
    const now = Date.UTC(year, 0, 1);
    const sum = [0, 10, 20].reduce((s, days) => s + forwardWeight(now - days * DAY), 0);
    const direct = [0, 10, 20].reduce((s, days) => s + 2 ** (-days / 50), 0);
    expect(sum / forwardWeight(now)).toBeCloseTo(direct, 12);
  }
});
