import { expect, test } from "vitest";
import { random } from "../random.ts";
import { DWELL_SECONDS, dwellSeconds, expectedDwellSeconds, normalQuantile } from "./dwell.ts";

test("the normal quantile agrees with published values", () => {
  // Source: NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.1.
  expect(normalQuantile(0.5)).toBeCloseTo(0, 9);
  expect(normalQuantile(0.975)).toBeCloseTo(1.959963985, 8);
  expect(normalQuantile(0.99)).toBeCloseTo(2.326347874, 8);
  expect(normalQuantile(0.001)).toBeCloseTo(-3.090232306, 8);
});

test("stays last beyond five seconds with the given probability and as long as expected on average", () => {
  for (const p of [0.05, 0.3, 0.7]) {
    const source = random(1, "dwell", Math.round(p * 100));
    const n = 100_000;
    let beyond = 0;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const seconds = dwellSeconds(p, source.normal());
      if (seconds > DWELL_SECONDS) beyond++;
      sum += seconds;
    }
    expect(Math.abs(beyond / n - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / n));
    // A log-normal of log-sd .9 has a coefficient of variation of √(e^.81 − 1) = 1.12.
    const expected = expectedDwellSeconds(p);
    expect(Math.abs(sum / n / expected - 1)).toBeLessThan((4 * 1.12) / Math.sqrt(n));
  }
});
