import fc from "fast-check";
import { expect, test } from "vitest";
import { topItems } from "./recommender.ts";

test("the top items are those of a full sort, ties by index, exclusions and −Infinity left out", () => {
  const scores = fc.array(
    fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(Number.NEGATIVE_INFINITY)),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(scores, fc.integer({ min: 1, max: 20 }), fc.nat({ max: 5 }), (list, k, modulus) => {
      const excluded = (item: number): boolean => modulus > 0 && item % modulus === 0;
      const expected = list
        .map((score, item) => ({ score, item }))
        .filter(({ score, item }) => Number.isFinite(score) && !excluded(item))
        .sort((a, b) => b.score - a.score || a.item - b.item)
        .slice(0, k)
        .map(({ item }) => item);
      expect(topItems(Float64Array.from(list), k, excluded)).toEqual(expected);
    }),
  );
});
