import { expect, test } from "vitest";
import { auc } from "../../experiments/metrics/auc.ts";
import { normalizedEntropy } from "../../experiments/metrics/normalized-entropy.ts";
import { headMetrics } from "./head-metrics.ts";
import { headStatistics } from "./head-statistics.ts";
import { plantedRows } from "./planted-rows.ts";

const rows = plantedRows({
  n: 4000,
  features: 1,
  heads: [
    { name: "click", truth: (x) => (x[0] as number) - 1, masked: 0.2 },
    { name: "dwell_seconds", kind: "continuous", truth: () => 20 },
    { name: "report", truth: () => -60 },
    { name: "reply", truth: () => -7 },
  ],
  seed: 1,
  users: 200,
});
const predictions = Float32Array.from({ length: rows.n * 4 }, (_, i) => {
  const click = 1 / (1 + Math.exp(1 - (rows.features[Math.floor(i / 4)] as number)));
  return [click, 10, 0, 0.001][i % 4] as number;
});

test("each head gets its metrics over observable rows, with intervals over users", () => {
  const heads = headStatistics(rows);
  const metrics = headMetrics(predictions, rows, heads, { seed: 1, rounds: 100 });
  const column = (data: Float32Array): Float32Array =>
    Float32Array.from({ length: rows.n }, (_, row) => data[row * 4] as number);
  const click = { scores: column(predictions), labels: column(rows.labels) };
  expect(metrics.click?.auc?.value).toBeCloseTo(auc(click), 9);
  expect(metrics.click?.normalized_entropy?.value).toBeCloseTo(normalizedEntropy(click), 9);
  const { low, high } = metrics.click!.auc!;
  // The standard error of this AUC is about 0.01.
  expect(high - low).toBeGreaterThan(0.02);
  expect(high - low).toBeLessThan(0.08);
  const dwell = heads[1]?.mean as number;
  expect(metrics.dwell_seconds?.calibration_ratio?.value).toBeCloseTo(10 / dwell, 3);
});

test("a head without positives is left out, and no metric without a finite interval is published", () => {
  const metrics = headMetrics(predictions, rows, headStatistics(rows), { seed: 1, rounds: 50 });
  expect(metrics.report).toBeUndefined();
  for (const found of Object.values(metrics))
    for (const interval of Object.values(found))
      expect(Object.values(interval).every(Number.isFinite)).toBe(true);
});
