import { expect, test } from "vitest";
import { IdEmbeddings } from "../models/id-embeddings.ts";
import { Batch, shuffledOrder } from "./batches.ts";
import { plantedRows } from "./planted-rows.ts";

const rows = plantedRows({
  n: 40,
  features: 3,
  heads: [
    { name: "click", truth: () => 0, masked: 0.4 },
    { name: "dwell_seconds", kind: "continuous", truth: () => 500 },
  ],
  seed: 1,
  ids: [{ name: "author", values: 6 }],
});

test("an order is a permutation, decided by seed and pass alone", () => {
  const order = shuffledOrder(1000, 3, 0);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  expect(shuffledOrder(1000, 3, 0)).toEqual(order);
  expect(shuffledOrder(1000, 3, 1)).not.toEqual(order);
  expect(shuffledOrder(1000, 4, 0)).not.toEqual(order);
});

test("a batch holds the picked rows: columns chosen, labels masked, amounts capped and scaled, weights per row", () => {
  const weight = Float32Array.from({ length: 40 }, (_, row) => row);
  const columns = [2, 0];
  const batch = new Batch(
    8,
    { columns, kinds: ["binary", "continuous"], headWeights: Float32Array.of(2, 0.5) },
    1,
  );
  const order = shuffledOrder(40, 1, 0);
  batch.fill({ ...rows, weight }, order, 16, 1, 0);
  const { features, labels, label_weights: weights } = batch.feeds;
  for (let i = 0; i < 8; i++) {
    const row = order[16 + i] as number;
    expect(features?.data[i * 2]).toBe(rows.features[row * 3 + 2]);
    expect(features?.data[i * 2 + 1]).toBe(rows.features[row * 3]);
    const label = rows.labels[row * 2] as number;
    const masked = Number.isNaN(label);
    expect(labels?.data[i * 2]).toBe(masked ? 0 : label);
    expect(weights?.data[i * 2]).toBeCloseTo(masked ? 0 : (row * 2) / 8, 6);
    const amount = Math.min(rows.labels[row * 2 + 1] as number, 300) / 30;
    expect(labels?.data[i * 2 + 1]).toBeCloseTo(amount, 6);
    expect(weights?.data[i * 2 + 1]).toBeCloseTo((row * 0.5) / 8, 6);
  }
});

test("dropout keeps its share and its expectation; hidden ids read as missing at theirs", () => {
  const embeddings = new IdEmbeddings(1, {
    buckets: 16,
    width: 2,
    dropout: 0.25,
    learningRate: 0.1,
    l2: 0,
  });
  embeddings.optimiser.table.fill(7);
  const batch = new Batch(
    40,
    {
      columns: [0],
      kinds: ["binary", "continuous"],
      headWeights: Float32Array.of(1, 1),
      embeddings,
      dropout: { width: 50, rate: 0.2 },
    },
    1,
  );
  let [kept, hidden, cells, ids] = [0, 0, 0, 0];
  for (let step = 0; step < 50; step++) {
    batch.fill(rows, shuffledOrder(40, 1, step), 0, 1, step);
    for (const value of batch.feeds.dropout?.data ?? []) {
      expect(value === 0 || Math.abs(value - 1.25) < 1e-6).toBe(true);
      kept += value;
      cells++;
    }
    for (let i = 0; i < 40; i++) {
      const missing = batch.idRows[i] === -1;
      expect(batch.feeds.embedded?.data[i * 2]).toBe(missing ? 0 : 7);
      hidden += Number(missing);
      ids++;
    }
  }
  expect(Math.abs(kept / cells - 1)).toBeLessThan(0.01);
  // Standard error of the share at 2,000 draws: below 0.01.
  expect(Math.abs(hidden / ids - 0.25)).toBeLessThan(0.04);
  const first = batch.feeds.dropout?.data.slice();
  batch.fill(rows, shuffledOrder(40, 1, 49), 0, 1, 49);
  expect(batch.feeds.dropout?.data).toEqual(first);
});
