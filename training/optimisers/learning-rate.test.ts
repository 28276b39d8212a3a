import { expect, test } from "vitest";
import { learningRate } from "./learning-rate.ts";

const schedule = { peak: 0.01, rampSteps: 10, decaySteps: 1000, floor: 0.1 };

test("the rate rises linearly over the ramp", () => {
  const flat = { ...schedule, floor: 1 };
  expect(learningRate(flat, 1)).toBeCloseTo(0.001, 12);
  expect(learningRate(flat, 5)).toBeCloseTo(0.005, 12);
  expect(learningRate(flat, 10)).toBeCloseTo(0.01, 12);
  expect(learningRate(flat, 900)).toBeCloseTo(0.01, 12);
});

test("it falls along a half cosine to the floor and stays there", () => {
  expect(learningRate(schedule, 500)).toBeCloseTo(0.01 * (0.1 + 0.9 * 0.5), 12);
  expect(learningRate(schedule, 1000)).toBeCloseTo(0.001, 12);
  expect(learningRate(schedule, 5000)).toBeCloseTo(0.001, 12);
});
