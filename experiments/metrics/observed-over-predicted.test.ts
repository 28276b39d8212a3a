import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { bootstrap } from "./bootstrap.ts";
import { observedOverPredicted } from "./observed-over-predicted.ts";

test("it is the sum of labels over the sum of predictions, and follows unit weights", () => {
  const rows = {
    scores: Float64Array.of(0.5, 0.25, 0.25, 0.5),
    labels: Float64Array.of(1, 0, 1, Number.NaN),
    units: Int32Array.of(0, 0, 1, 1),
  };
  const prepared = observedOverPredicted.prepare(rows);
  expect(prepared.value()).toBe(2);
  expect(prepared.value(Float64Array.of(1, 0))).toBeCloseTo(1 / 0.75, 12);
  expect(prepared.value(Float64Array.of(2, 1))).toBeCloseTo(3 / 1.75, 12);
  expect(
    observedOverPredicted
      .prepare({ scores: Float64Array.of(0), labels: Float64Array.of(1) })
      .value(),
  ).toBeNaN();
});

test("the interval over viewers holds the true ratio about as often as it says", () => {
  let held = 0;
  const trials = 120;
  for (let trial = 0; trial < trials; trial++) {
    const draws = random(trial, "ratio");
    const n = 600;
    const units = Int32Array.from({ length: n }, (_, row) => row % 120);
    const scores = Float64Array.from({ length: n }, () => 0.2 + 0.2 * draws.next());
    // Truth is 1.2 times what is predicted.
    const labels = Float64Array.from(scores, (p) => Number(draws.next() < 1.2 * p));
    const { low, high } = bootstrap(
      observedOverPredicted,
      { scores, labels, units },
      { seed: trial, rounds: 100 },
    );
    if (low <= 1.2 && 1.2 <= high) held++;
  }
  expect(held / trials).toBeGreaterThan(0.87);
});
