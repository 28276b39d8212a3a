import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { POST_TOWER, slotsOf } from "../../features/tower-inputs.ts";
import { TowerRows } from "../../features/tower-rows.ts";
import { slotTables, tableRows, towerMatrices, towerRow } from "../../features/tower-table.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import { toOnnx } from "../graph/to-onnx.ts";
import { input, parameter } from "../graph/value.ts";
import { HashedBags, PooledBatch } from "./hashed-bags.ts";

const OPTIONS = {
  buckets: { topic: 5, language: 3, author: 7, post: 11 },
  width: 2,
  learningRate: 0.1,
  l2: 0,
};
const draws = random(1, "bags");
const ROWS = 6;
const NONE = (): boolean => false;

function filledRows(): TowerRows {
  const rows = new TowerRows(POST_TOWER, 2);
  for (let i = 0; i < ROWS; i++) rows.add();
  for (let i = 0; i < ROWS * rows.slots; i++) {
    const empty = draws.next() < 0.3;
    rows.hashes[i] = empty ? 0 : 1 + draws.below(4_000_000_000);
    rows.weights[i] = empty ? 0 : draws.normal();
  }
  return rows;
}

function filledBags(): HashedBags {
  const bags = new HashedBags(OPTIONS, draws);
  for (let i = OPTIONS.width; i < bags.table.length; i++) bags.table[i] = draws.normal();
  return bags;
}

test("a table has the rows of all kinds, the first stands for none, and only topics and languages begin filled", () => {
  const bags = new HashedBags(OPTIONS, draws);
  expect(bags.shape).toEqual([27, 2]);
  const filled = Array.from({ length: 27 }, (_, row) => bags.table[row * 2] !== 0);
  expect(filled.indexOf(true)).toBe(1);
  expect(filled.lastIndexOf(true)).toBe(8);
});

test("the two rows of an id lie in its kind's part and are drawn evenly and apart", () => {
  const counts = [new Int32Array(50), new Int32Array(50)];
  let same = 0;
  for (let i = 0; i < 50_000; i++) {
    const hash = 1 + draws.below(4_294_967_295);
    const pair = ([0, 1] as const).map((which) => towerRow(hash, 100, 50, which) - 100);
    pair.forEach((row, which) => {
      counts[which]![row]!++;
    });
    if (pair[0] === pair[1]) same++;
  }
  // Expected 1,000 a row; 5 standard deviations.
  for (const count of counts) for (const n of count) expect(Math.abs(n - 1000)).toBeLessThan(160);
  expect(Math.abs(same - 1000)).toBeLessThan(160);
  expect(towerRow(0, 100, 50, 0)).toBe(0);
});

test("pooling for training equals the inference graph and the sums written out", async () => {
  const rows = filledRows();
  const bags = filledBags();
  const batch = new PooledBatch(POST_TOWER, bags, ROWS);
  for (let i = 0; i < ROWS; i++) batch.fill(rows, i, i, NONE);

  const slots = slotsOf(POST_TOWER);
  const graph = bags.pooled(
    POST_TOWER,
    parameter("table", bags.shape),
    input("weights", ["n", slots]),
  );
  const session = await onnxSession(
    toOnnx({ outputs: { graph }, weights: new Map([["table", bags.table]]) }),
    1,
  );
  const tables = slotTables(POST_TOWER, OPTIONS.buckets);
  const { features, ids } = towerMatrices(rows, tables, 0, ROWS);
  const width = rows.width + slots;
  const weights = new Float32Array(ROWS * slots);
  for (let i = 0; i < ROWS; i++)
    weights.set(features.subarray(i * width + rows.width, (i + 1) * width), i * slots);
  const out = await session.run({
    weights: { data: weights, shape: [ROWS, slots] },
    ids: { data: ids, shape: [ROWS, 2 * slots] },
  });
  await session.release();

  const wanted = new Float64Array(batch.pooled.length);
  for (let i = 0; i < ROWS; i++) {
    let slot = 0;
    POST_TOWER.bags.forEach(({ slots: size }, b) => {
      for (let s = 0; s < size; s++, slot++)
        for (const which of [0, 1] as const) {
          const hash = rows.hashes[i * slots + slot] as number;
          const row = towerRow(hash, tables.first[slot]!, tables.size[slot]!, which);
          for (let j = 0; j < 2; j++)
            wanted[(i * POST_TOWER.bags.length + b) * 2 + j]! +=
              (rows.weights[i * slots + slot] as number) * (bags.table[row * 2 + j] as number);
        }
    });
  }
  wanted.forEach((value, at) => {
    expect(batch.pooled[at], `trained ${at}`).toBeCloseTo(value, 4);
    expect(out.graph?.[at], `served ${at}`).toBeCloseTo(value, 4);
  });
});

test("the gradient of table rows agrees with central differences; dropped bags get none", () => {
  const rows = filledRows();
  const bags = filledBags();
  const batch = new PooledBatch(POST_TOWER, bags, ROWS);
  const dropped = (bag: number): boolean => bag === 1;
  const direction = Float32Array.from({ length: batch.pooled.length }, () => draws.normal());
  const value = (): number => {
    batch.clear();
    for (let i = 0; i < ROWS; i++) batch.fill(rows, i, i, dropped);
    return batch.pooled.reduce((sum, x, at) => sum + x * (direction[at] as number), 0);
  };
  value();
  const { rows: touched, gradients } = batch.gradients(direction);
  const ours = new Float64Array(bags.table.length);
  touched.forEach((row, e) => {
    for (let j = 0; j < 2; j++) ours[row * 2 + j]! += gradients[e * 2 + j] as number;
  });
  expect(touched.includes(0)).toBe(false);
  expect(tableRows(OPTIONS.buckets)).toBe(bags.table.length / 2);
  for (let at = 0; at < bags.table.length; at++) {
    const held = bags.table[at] as number;
    bags.table[at] = held + 0.5;
    const above = value();
    bags.table[at] = held - 0.5;
    const below = value();
    bags.table[at] = held;
    // Row 0 stands for none: nothing may flow into it.
    expect(ours[at], `table ${at}`).toBeCloseTo(above - below, 3);
  }
});
