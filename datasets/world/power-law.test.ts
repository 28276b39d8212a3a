import { expect, test } from "vitest";
import { random } from "../random.ts";
import { powerLawTail } from "./power-law.ts";

test("finds the exponent of numbers drawn from a power law", () => {
  for (const exponent of [2.1, 2.5]) {
    const source = random(1, "law", Math.round(exponent * 10));
    // Continuous law above 9.5, rounded: P(X ≥ x) = (x − ½)^(1 − α) for whole x, up to the constant.
    const values = Float64Array.from({ length: 20_000 }, () =>
      Math.round(9.5 * (1 - source.next()) ** (-1 / (exponent - 1))),
    );
    const fit = powerLawTail(values, 1000);
    // The maximum likelihood estimate has standard error (α − 1)/√n.
    expect(Math.abs(fit.exponent - exponent)).toBeLessThan(
      (5 * (exponent - 1)) / Math.sqrt(fit.tail),
    );
  }
});

test("leaves out the body that follows no power law", () => {
  const source = random(2, "mixed");
  const body = Array.from({ length: 5_000 }, () => 1 + source.below(60));
  const tail = Array.from({ length: 2_000 }, () => Math.round(59.5 * (1 - source.next()) ** -1));
  const fit = powerLawTail([...body, ...tail], 200);
  expect(fit.xMin).toBeGreaterThan(50);
  expect(fit.exponent).toBeGreaterThan(1.85);
  expect(fit.exponent).toBeLessThan(2.15);
});
