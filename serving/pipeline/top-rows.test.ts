import fc from "fast-check";
import { expect, test } from "vitest";
import { topRows } from "./top-rows.ts";

const score = fc.oneof(
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 1, 2),
  fc.double(),
);

test("the k best rows are the first k of a full sort by score, non-finite last, then post id", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), score), {
        selector: ([id]) => id,
        maxLength: 60,
      }),
      fc.nat(70),
      (rows, k) => {
        const ids = rows.map(([id]) => id.toString());
        const scores = Float64Array.from(rows, ([, value]) => value);
        const rank = (value: number) => (Number.isFinite(value) ? 0 : 1);
        const sorted = rows
          .map((row, at) => ({ id: row[0], value: row[1], at }))
          .sort(
            (a, b) =>
              rank(a.value) - rank(b.value) ||
              (rank(a.value) === 0 ? b.value - a.value : 0) ||
              (a.id < b.id ? -1 : 1),
          );
        expect([...topRows(scores, ids, k)]).toEqual(sorted.slice(0, k).map(({ at }) => at));
      },
    ),
    { numRuns: 500 },
  );
});

test("shorter ids rank before longer ones on equal scores, as numbers do", () => {
  expect([...topRows([1, 1, 1], ["100", "9", "20"], 3)]).toEqual([1, 2, 0]);
});

test("asking for none, or for a negative number, gives none", () => {
  expect(topRows([1, 2], ["1", "2"], 0)).toHaveLength(0);
  expect(topRows([1, 2], ["1", "2"], -3)).toHaveLength(0);
});
