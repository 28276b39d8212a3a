import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { examination } from "../../datasets/world/examination.ts";
import { plantedRows } from "./planted-rows.ts";
import { examinedShares, positionWeighted } from "./position-weights.ts";

/** Positions of what is looked at on pages of 40 slots. */
function looked(pages: number): Float32Array {
  const draws = random(1, "looked");
  const positions: number[] = [];
  for (let page = 0; page < pages; page++)
    for (let slot = 0; slot < 40; slot++)
      if (draws.next() < examination(slot)) positions.push(slot);
  return Float32Array.from(positions);
}

test("the shares are those that the impressions were drawn with", () => {
  const shares = examinedShares(looked(8000));
  expect(shares[0]).toBe(1);
  for (const slot of [1, 5, 12, 25, 39])
    expect(Math.abs((shares[slot] as number) - examination(slot))).toBeLessThan(0.03);
  for (let slot = 1; slot < 40; slot++)
    expect(shares[slot]).toBeLessThanOrEqual(shares[slot - 1] as number);
});

test("weighted, every slot counts as often as the top, and the mean weight is 1", () => {
  const position = looked(4000);
  const heads = [{ name: "click", truth: () => 0 }];
  const rows = { ...plantedRows({ n: position.length, features: 1, heads, seed: 1 }), position };
  const { weight } = positionWeighted(rows);
  const total = (slot: number): number =>
    weight.reduce((sum, value, row) => sum + (position[row] === slot ? value : 0), 0);
  for (const slot of [3, 10, 30]) expect(total(slot) / total(0)).toBeCloseTo(1, 1);
  expect(weight.reduce((sum, value) => sum + value, 0) / rows.n).toBeCloseTo(1, 4);
});

test("a log without positions is refused by what it lacks", () => {
  expect(() => examinedShares(new Float32Array(5000))).toThrow("the last position is 0");
  expect(() => examinedShares(Float32Array.of(0, 1, 2))).toThrow("1 impressions are at the top");
});
