import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { descendingOrder } from "./score-order.ts";

test.each([
  ["Float64", Float64Array, 19_000],
  ["Float64", Float64Array, 50_000],
  ["Float32", Float32Array, 50_000],
] as const)("%s rows %#: descending, stable, −0 = 0, infinities at the ends", (_, Column, n) => {
  const draw = random(1, "order", n);
  const scores = new Column(n).map(() => {
    const kind = draw.below(10);
    if (kind === 0) return draw.below(3) - 1;
    if (kind === 1) return -0;
    if (kind === 2) return draw.normal() * 1e-40;
    return draw.normal() * 10 ** (draw.below(20) - 10);
  });
  scores[7] = Number.POSITIVE_INFINITY;
  scores[9] = Number.NEGATIVE_INFINITY;
  const expected = Array.from(scores.keys()).sort((a, b) => {
    const [x, y] = [scores[a] as number, scores[b] as number];
    return x > y ? -1 : x < y ? 1 : a - b;
  });
  expect(Array.from(descendingOrder(scores))).toEqual(expected);
  expect(expected[0]).toBe(7);
});
