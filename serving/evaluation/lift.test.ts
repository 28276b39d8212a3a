import { expect, test } from "vitest";
import { calibration } from "../../experiments/metrics/calibration.ts";
import { liftCurve } from "./lift.ts";

/** Scores .05, .15 … .95, ten rows each, of which the highest `positives` rows of all are positive. */
function ranked(positives: number) {
  const scores = Float64Array.from({ length: 100 }, (_, row) => 0.05 + Math.floor(row / 10) / 10);
  const labels = Float64Array.from({ length: 100 }, (_, row) => Number(row >= 100 - positives));
  return liftCurve(calibration({ scores, labels }));
}

test("perfect ranking: the top tenth holds all of 10 positives, half of 20", () => {
  const [first, ...rest] = ranked(10);
  expect(first?.rows).toBeCloseTo(0.1, 12);
  expect(first?.positives).toBeCloseTo(1, 12);
  expect(first?.lift).toBeCloseTo(10, 10);
  for (const point of rest) expect(point.positives).toBeCloseTo(1, 12);
  expect(ranked(20)[0]?.positives).toBeCloseTo(0.5, 12);
});

test("it ends with all rows and all positives at lift 1, and needs a positive", () => {
  const last = ranked(35).at(-1);
  expect(last?.rows).toBeCloseTo(1, 12);
  expect(last?.positives).toBeCloseTo(1, 12);
  expect(last?.lift).toBeCloseTo(1, 12);
  expect(ranked(0)).toEqual([]);
});
