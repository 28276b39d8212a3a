import { expect, test } from "vitest";
import type { TrainingRows } from "../../features/rows.ts";
import { plantedRows } from "../trainers/planted-rows.ts";
import { type JudgedDay, learningReport } from "./learning-report.ts";

const DAY = 86_400_000;
const truth = (x: Float32Array): number => -1 + 1.5 * (x[0] as number);

/** A day on which each learner predicts from the true score and so much noise of its own. */
function day(index: number, noise: { frozen: number; warm: number; retrained: number }): JudgedDay {
  const rows = plantedRows({
    n: 1500,
    features: 2,
    heads: [{ name: "click", truth }],
    seed: index,
    users: 150,
    fromMs: index * DAY,
  });
  const predicted = (share: number): Float32Array =>
    Float32Array.from({ length: rows.n }, (_, row) => {
      const [x, other] = [rows.features[row * 2] as number, rows.features[row * 2 + 1] as number];
      return 1 / (1 + Math.exp(1 - 1.5 * ((1 - share) * x + share * other)));
    });
  return {
    fromMs: index * DAY,
    rows,
    predictions: {
      frozen: predicted(noise.frozen),
      warm: predicted(noise.warm),
      retrained: predicted(noise.retrained),
    },
  };
}

/** Share of (positive, negative) pairs in order, ties one half. */
function pairwise(rows: TrainingRows, scores: Float32Array): number {
  let [right, pairs] = [0, 0];
  for (let a = 0; a < rows.n; a++)
    for (let b = 0; b < rows.n; b++) {
      if (rows.labels[a] !== 1 || rows.labels[b] !== 0) continue;
      pairs++;
      const difference = (scores[a] as number) - (scores[b] as number);
      right += difference > 0 ? 1 : difference === 0 ? 0.5 : 0;
    }
  return right / pairs;
}

test("AUC of each learner and day is the share of ordered pairs, and differences are theirs", () => {
  const days = [
    day(1, { frozen: 0.6, warm: 0.3, retrained: 0.1 }),
    day(2, { frozen: 0.8, warm: 0.3, retrained: 0.1 }),
  ];
  const report = learningReport(days, { seed: 1, rounds: 60 });
  const click = report.heads[0];
  expect(click?.days).toHaveLength(2);
  for (const [i, figures] of (click?.days ?? []).entries()) {
    const { rows, predictions, fromMs } = days[i] as JudgedDay;
    expect(figures.from_ms).toBe(fromMs);
    const brute = {
      frozen: pairwise(rows, predictions.frozen),
      warm: pairwise(rows, predictions.warm),
    };
    expect(figures.auc.frozen.value).toBeCloseTo(brute.frozen, 10);
    expect(figures.auc.warm.value).toBeCloseTo(brute.warm, 10);
    const paired = figures.differences["warm-frozen"];
    expect(paired?.difference.value).toBeCloseTo(brute.warm - brute.frozen, 10);
    expect(paired?.verdict).toBe("better");
  }
  expect(click?.overall.rows).toBe(3000);
  expect(report.warm_against_frozen).toEqual({ better: ["click"], worse: [], noise: [] });
  expect(report.conclusion).toBe("warm start wins over frozen on click");
});

test("where warm start does not win, the report says so", () => {
  const equal = learningReport([day(1, { frozen: 0.3, warm: 0.3, retrained: 0.1 })], {
    seed: 1,
    rounds: 60,
  });
  expect(equal.conclusion).toBe(
    "warm start does not win over frozen on any head; no difference shows on click",
  );
  const worse = learningReport([day(1, { frozen: 0.1, warm: 0.7, retrained: 0.1 })], {
    seed: 1,
    rounds: 60,
  });
  expect(worse.conclusion).toBe(
    "warm start does not win over frozen on any head; it loses on click",
  );
});

test("heads and days with too few positives are left out, and then nothing is concluded", () => {
  const report = learningReport([day(1, { frozen: 0.3, warm: 0.2, retrained: 0.1 })], {
    seed: 1,
    rounds: 5,
    leastPositives: 5000,
  });
  expect(report.heads).toEqual([]);
  expect(report.conclusion).toMatch(/no head has enough positives/);
});
