import { expect, test } from "vitest";
import { plantedRows } from "./planted-rows.ts";
import { evenSample, headLosses, stoppingLoss } from "./validation-loss.ts";

const base = plantedRows({
  n: 4,
  features: 1,
  heads: [
    { name: "click", truth: () => 0 },
    { name: "dwell_seconds", kind: "continuous", truth: () => 1 },
    { name: "report", truth: () => 0 },
  ],
  seed: 1,
});
const { NaN: masked } = Number;
const labels = Float32Array.of(1, 30, 0, 0, 60, 0, 0, 0, 0, masked, 90, 0);
const rows = { ...base, labels };
const kinds = ["binary", "continuous", "binary"] as const;
const picked = Int32Array.of(0, 1, 2, 3);

test("predicting the mean scores 1, the truth scores 0, a head without positives is undefined", () => {
  const logOdds = Math.log(1 / 2);
  const constant = picked.length;
  const means = new Float32Array(constant * 3);
  for (let i = 0; i < constant; i++) means.set([logOdds, Math.log(1.5), -3], i * 3);
  const [click, dwell, report] = headLosses(means, rows, picked, kinds);
  expect(click?.normalised).toBeCloseTo(1, 6);
  expect(dwell?.normalised).toBeCloseTo(1, 6);
  expect(report?.normalised).toBeNaN();
  expect([click?.positives, dwell?.positives, report?.positives]).toEqual([1, 3, 0]);

  const truth = Float32Array.of(40, 0, -3, -40, Math.log(2), -3, -40, -12, -3, 0, Math.log(3), -3);
  const perfect = headLosses(truth, rows, picked, kinds);
  expect(perfect[0]?.normalised).toBeCloseTo(0, 6);
  expect(perfect[1]?.normalised).toBeCloseTo(0, 4);
});

test("heads with few positives have little say in stopping, outputs of NaN are never best", () => {
  const loud = { positives: 10_000, normalised: 0.8 };
  const quiet = { positives: 3, normalised: 2 };
  expect(stoppingLoss([loud, quiet])).toBeCloseTo((0.8 + 0.02) / 1.01, 9);
  expect(stoppingLoss([loud, { positives: 0, normalised: Number.NaN }])).toBe(0.8);
  expect(stoppingLoss([{ positives: 5, normalised: Number.NaN }])).toBeNaN();
});

test("an even sample takes every k-th row and at most the limit", () => {
  expect([...evenSample(10, 4)]).toEqual([0, 3, 6, 9]);
  expect([...evenSample(3, 4)]).toEqual([0, 1, 2]);
  expect(evenSample(100_001, 50_000).length).toBeLessThanOrEqual(50_000);
});
