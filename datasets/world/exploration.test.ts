import { expect, test } from "vitest";
import { random } from "../random.ts";
import { explore } from "./exploration.ts";

test("each post stands in each slot as often as its logged propensity says", () => {
  const size = 4;
  const restSize = 6;
  const rounds = 60_000;
  const epsilon = 0.3;
  const shown = new Float64Array(size * 10);
  const page = new Int32Array(size);
  const rest = new Int32Array(restSize);
  const propensities = new Float64Array(size);
  let mismatches = 0;
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < size; i++) page[i] = i;
    for (let i = 0; i < restSize; i++) rest[i] = size + i;
    explore(page, size, rest, restSize, epsilon, propensities, random(1, "round", round));
    for (let slot = 0; slot < size; slot++) {
      shown[slot * 10 + page[slot]!]!++;
      const expected = page[slot] === slot ? 1 - epsilon : epsilon / restSize;
      if (propensities[slot] !== expected) mismatches++;
    }
  }
  expect(mismatches).toBe(0);
  for (let slot = 0; slot < size; slot++) {
    for (let post = 0; post < 10; post++) {
      const p = post === slot ? 1 - epsilon : post < size ? 0 : epsilon / restSize;
      const bound = 4.5 * Math.sqrt((p * (1 - p)) / rounds);
      expect(Math.abs(shown[slot * 10 + post]! / rounds - p)).toBeLessThanOrEqual(bound);
    }
  }
});

test("no post is shown twice on a page", () => {
  for (let round = 0; round < 500; round++) {
    const page = Int32Array.from({ length: 8 }, (_, i) => i);
    const rest = Int32Array.from({ length: 8 }, (_, i) => 8 + i);
    explore(page, 8, rest, 8, 0.9, new Float64Array(8), random(2, "round", round));
    expect(new Set(page).size).toBe(8);
  }
});

test("a page with too little to replace it stays as it is, with certainty", () => {
  const page = Int32Array.of(5, 6, 7);
  const propensities = new Float64Array(3);
  explore(page, 3, Int32Array.of(8, 9), 2, 0.9, propensities, random(3));
  expect([...page]).toEqual([5, 6, 7]);
  expect([...propensities]).toEqual([1, 1, 1]);
});
