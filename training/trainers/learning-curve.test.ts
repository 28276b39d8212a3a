import { expect, test } from "vitest";
import { learningCurve } from "./learning-curve.ts";
import { plantedRows, sliceRows } from "./planted-rows.ts";

const DAY = 86_400_000;

test("each point learns from its days alone, all are judged on the same rows, and more days help", async () => {
  // One row a second: stretched so that the training rows are 8 days.
  const planted = plantedRows({
    n: 5_000,
    features: 8,
    heads: [
      {
        name: "click",
        truth: (x) => 0.6 * (x[0] as number) - 0.5 * (x[1] as number) * (x[2] as number),
      },
    ],
    seed: 3,
  });
  const rows = { ...planted, timeMs: planted.timeMs.map((_, row) => (row / 4_000) * 8 * DAY) };
  const points = await learningCurve(
    {
      kind: "heavy",
      train: sliceRows(rows, 0, 4_000),
      validation: sliceRows(rows, 4_000, 5_000),
      seed: 1,
      threads: 1,
      metricRounds: 50,
      options: {
        fit: { batchSize: 64, maxPasses: 4 },
        heavy: { blocks: 2, maskHidden: 8, blockOutput: 8, trunk: [8], tower: 4, idWidth: 0 },
      },
    },
    8 * DAY,
    [0.25, 2, 8, 30],
  );
  expect(points.map(({ days, rows: n }) => [days, n])).toEqual([
    [0.25, 125],
    [2, 1000],
    [8, 4000],
    [30, 4000],
  ]);
  const aucs = points.map(({ metrics }) => metrics.click?.auc);
  expect(aucs[2]?.value).toBeGreaterThan(aucs[0]?.value as number);
  expect(aucs[3]).toEqual(aucs[2]);
  for (const auc of aucs) {
    expect(auc?.low).toBeLessThan(auc?.value as number);
    expect(auc?.high).toBeGreaterThan(auc?.value as number);
  }
});
