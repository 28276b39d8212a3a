import { expect, test } from "vitest";
import { funnelRecall, keptOfBest } from "./light-recall.ts";

const ids = (n: number): string[] => Array.from({ length: n }, (_, i) => String(i + 1));
const falling = (n: number): Float64Array => Float64Array.from({ length: n }, (_, i) => n - i);

test("a light ranker that agrees keeps all of the best, one that orders the other way round none", () => {
  const heavy = falling(1000);
  expect(keptOfBest(heavy, heavy, ids(1000))).toBe(1);
  expect(keptOfBest(heavy, heavy.toReversed(), ids(1000))).toBe(0);
});

test("what the light ranker puts just past its 500 is lost", () => {
  const heavy = falling(1000);
  const light = falling(1000);
  // Ten of the heavy ranker's fifty change places with rows that the light ranker has cut.
  for (let i = 0; i < 10; i++)
    [light[i], light[500 + i]] = [light[500 + i] as number, light[i] as number];
  expect(keptOfBest(heavy, light, ids(1000))).toBeCloseTo(0.8, 12);
});

test("where nothing is cut there is nothing to recall", () => {
  expect(keptOfBest(falling(500), falling(500), ids(500))).toBeUndefined();
  expect(funnelRecall([], { seed: 1, rounds: 10 })).toBeNull();
});

test("the mean over viewers comes with an interval around it", () => {
  const recall = funnelRecall([1, 0.9, 0.8, 1, 0.7], { seed: 1, rounds: 200 });
  expect(recall?.value).toBeCloseTo(0.88, 12);
  expect(recall?.low).toBeLessThan(0.88);
  expect(recall?.high).toBeGreaterThan(0.88);
});
