import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { RowAdagrad } from "./row-adagrad.ts";

const fresh = (table: number[], l2 = 0): RowAdagrad =>
  new RowAdagrad(Float32Array.from(table), 2, { learningRate: 0.1, l2 });

test("a row moves by rate · g / √(mean square of its gradients so far)", () => {
  const optimiser = fresh([0, 0, 1, 1]);
  optimiser.step(Int32Array.of(1), Float32Array.of(3, 4));
  // Mean square (9 + 16)/2 = 12.5.
  expect(optimiser.table[2]).toBeCloseTo(1 - (0.1 * 3) / Math.sqrt(12.5), 6);
  expect(optimiser.table[3]).toBeCloseTo(1 - (0.1 * 4) / Math.sqrt(12.5), 6);
  optimiser.step(Int32Array.of(1), Float32Array.of(1, 0));
  expect(optimiser.accumulator[1]).toBeCloseTo(13, 5);
  expect([...optimiser.table.slice(0, 2)]).toEqual([0, 0]);
});

test("repeated rows count as one summed gradient, and −1 is skipped", () => {
  const draws = random(1, "adagrad");
  const [repeated, summed] = [fresh([0, 0, 0, 0, 0, 0]), fresh([0, 0, 0, 0, 0, 0])];
  for (let round = 0; round < 20; round++) {
    const g = Array.from({ length: 8 }, () => draws.normal());
    repeated.step(Int32Array.of(2, -1, 0, 2), Float32Array.from(g));
    const [a, b] = [(g[0] as number) + (g[6] as number), (g[1] as number) + (g[7] as number)];
    summed.step(Int32Array.of(0, 2), Float32Array.of(g[4] as number, g[5] as number, a, b));
  }
  for (let i = 0; i < 6; i++) expect(repeated.table[i]).toBeCloseTo(summed.table[i] as number, 5);
  expect([...repeated.table.slice(2, 4)]).toEqual([0, 0]);
});

test("L2 pulls only the rows of the minibatch towards 0", () => {
  const optimiser = fresh([1, 1, 1, 1], 0.5);
  optimiser.step(Int32Array.of(0), Float32Array.of(0, 0));
  expect(optimiser.table[0]).toBeCloseTo(1 - 0.1 * 0.5, 6);
  expect(optimiser.table[2]).toBe(1);
});
