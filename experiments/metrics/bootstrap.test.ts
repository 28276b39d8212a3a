import { describe, expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { aucMetric } from "./auc.ts";
import { bootstrap, quantile } from "./bootstrap.ts";
import { compareScorers } from "./compare.ts";
import { logLossMetric } from "./log-loss.ts";
import type { Metric } from "./metric.ts";
import type { ScoredRows } from "./scored-rows.ts";
import { BINARY_HEAD_METRICS } from "./standard.ts";

/** Mean of the scores: its sampling error is known in closed form. */
const meanScore: Metric = {
  name: "mean_score",
  better: "higher",
  prepare: ({ scores, units }) => {
    const rowUnits = units ?? Int32Array.from(scores, (_, row) => row);
    return {
      unitCount: Math.max(...rowUnits) + 1,
      value: (times) => {
        let [sum, count] = [0, 0];
        for (let row = 0; row < scores.length; row++) {
          const weight = times?.[rowUnits[row] as number] ?? 1;
          sum += weight * (scores[row] as number);
          count += weight;
        }
        return sum / count;
      },
    };
  },
};

/** `users` users with `each` rows whose scores share a user effect of variance `between`. */
function clusteredScores(seed: number, users: number, each: number, between: number): ScoredRows {
  const draw = random(seed, "clustered");
  const scores = new Float64Array(users * each);
  const units = new Int32Array(users * each);
  for (let user = 0; user < users; user++) {
    const effect = Math.sqrt(between) * draw.normal();
    for (let i = 0; i < each; i++) {
      scores[user * each + i] = effect + Math.sqrt(1 - between) * draw.normal();
      units[user * each + i] = user;
    }
  }
  return { scores, units, labels: new Uint8Array(users * each) };
}

describe("bootstrap", () => {
  test("is as wide as theory says for a mean of independent rows", () => {
    const { units: _, ...rows } = clusteredScores(1, 400, 1, 0);
    const { low, high } = bootstrap(meanScore, rows, { seed: 1, rounds: 2000 });
    const scores = Array.from(rows.scores);
    const mean = scores.reduce((a, b) => a + b) / 400;
    const sd = Math.sqrt(scores.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 400);
    expect((high - low) / ((2 * 1.96 * sd) / Math.sqrt(400))).toBeCloseTo(1, 1);
  });

  test("clustered by user it covers the truth, resampled by row it does not", () => {
    let [clustered, byRow] = [0, 0];
    const sims = 200;
    for (let sim = 0; sim < sims; sim++) {
      const rows = clusteredScores(100 + sim, 60, 8, 0.5);
      const right = bootstrap(meanScore, rows, { seed: sim, rounds: 200 });
      const { units: _, ...flat } = rows;
      const wrong = bootstrap(meanScore, flat, { seed: sim, rounds: 200 });
      if (right.low <= 0 && right.high >= 0) clustered++;
      if (wrong.low <= 0 && wrong.high >= 0) byRow++;
    }
    expect(clustered / sims).toBeGreaterThan(0.88);
    expect(clustered / sims).toBeLessThanOrEqual(0.99);
    expect(byRow / sims).toBeLessThan(0.8);
  });

  test("same seed, same interval; another seed, another", () => {
    const rows = clusteredScores(3, 50, 2, 0.2);
    const first = bootstrap(meanScore, rows, { seed: 5, rounds: 100 });
    expect(bootstrap(meanScore, rows, { seed: 5, rounds: 100 })).toEqual(first);
    expect(bootstrap(meanScore, rows, { seed: 6, rounds: 100 })).not.toEqual(first);
  });

  test("the interval of AUC agrees with Hanley and McNeil's standard error", () => {
    const draw = random(7, "hanley");
    const n = 3000;
    const labels = Uint8Array.from({ length: n }, () => (draw.next() < 0.3 ? 1 : 0));
    const scores = Float64Array.from(labels, (label) => draw.normal() + 0.9 * label);
    const { value, low, high } = bootstrap(aucMetric, { scores, labels }, { seed: 2, rounds: 600 });
    const positives = labels.reduce((a, b) => a + b, 0);
    const negatives = n - positives;
    const q1 = value / (2 - value);
    const q2 = (2 * value ** 2) / (1 + value);
    const variance =
      (value * (1 - value) +
        (positives - 1) * (q1 - value ** 2) +
        (negatives - 1) * (q2 - value ** 2)) /
      (positives * negatives);
    // Hanley and McNeil assume exponential scores: agreement to a tenth is what their formula can give.
    expect((high - low) / (2 * 1.96 * Math.sqrt(variance))).toBeGreaterThan(0.9);
    expect((high - low) / (2 * 1.96 * Math.sqrt(variance))).toBeLessThan(1.1);
  });

  test("has no ends with one unit, an undefined metric, or too few positives to resample", () => {
    const labels = Uint8Array.of(0, 1, 0, 1);
    const scores = Float64Array.of(1, 2, 3, 4);
    const one = bootstrap(aucMetric, { scores, labels, units: new Int32Array(4) }, { seed: 1 });
    expect(one).toEqual({ value: 0.75, low: Number.NaN, high: Number.NaN });
    const none = bootstrap(aucMetric, { scores, labels: new Uint8Array(4) }, { seed: 1 });
    expect(none).toEqual({ value: Number.NaN, low: Number.NaN, high: Number.NaN });
    const rare = bootstrap(
      aucMetric,
      { scores, labels: Uint8Array.of(0, 0, 0, 1) },
      { seed: 1, rounds: 200 },
    );
    expect(rare).toEqual({ value: 1, low: Number.NaN, high: Number.NaN });
  });

  test("refuses senseless options", () => {
    const rows = clusteredScores(1, 3, 1, 0);
    expect(() => bootstrap(meanScore, rows, { seed: 1, rounds: 0 })).toThrow(/rounds is 0/);
    expect(() => bootstrap(meanScore, rows, { seed: 1, level: 1 })).toThrow(/level is 1/);
  });

  test("quantiles are linear between neighbours", () => {
    const sorted = Float64Array.of(1, 2, 4, 8);
    expect([0, 0.25, 0.5, 1].map((q) => quantile(sorted, q))).toEqual([1, 1.75, 3, 8]);
  });
});

/** Labels drawn from p; `noise` blurs the log odds of the returned scorers' predictions. */
function twoScorers(seed: number, n: number, noise: number) {
  const draw = random(seed, "scorers");
  const logits = Float64Array.from({ length: n }, () => draw.normal() - 1);
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
  const labels = Uint8Array.from(logits, (x) => (draw.next() < sigmoid(x) ? 1 : 0));
  const units = Int32Array.from({ length: n }, (_, row) => row >> 2);
  const rows: ScoredRows = { scores: logits.map(sigmoid), labels, units, groups: units };
  return { rows, blurred: logits.map((x) => sigmoid(x + noise * draw.normal())) };
}

describe("comparing scorers on the same rows", () => {
  test.each(BINARY_HEAD_METRICS.map((metric) => [metric.name, metric] as const))(
    "%s calls a blurred scorer worse, its reverse better, and a scorer against itself noise",
    (_, metric) => {
      const { rows, blurred } = twoScorers(1, 6000, 1);
      const options = { seed: 4, rounds: 200 };
      const worse = compareScorers(metric, rows, blurred, options);
      expect(worse.verdict).toBe("worse");
      expect(worse.difference.value).toBeCloseTo(worse.candidate - worse.baseline, 15);
      const better = compareScorers(metric, { ...rows, scores: blurred }, rows.scores, options);
      expect(better.verdict).toBe("better");
      expect(better.difference.low).toBeCloseTo(-worse.difference.high, 12);
      const same = compareScorers(metric, rows, rows.scores, options);
      expect(same.verdict).toBe("noise");
      expect(same.difference).toEqual({ value: 0, low: 0, high: 0 });
    },
  );

  test("pairing makes the difference far tighter than either scorer's own interval", () => {
    const { rows, blurred } = twoScorers(2, 6000, 0.3);
    const options = { seed: 4, rounds: 200 };
    const { difference } = compareScorers(aucMetric, rows, blurred, options);
    const alone = bootstrap(aucMetric, rows, options);
    expect(difference.high - difference.low).toBeLessThan(0.6 * (alone.high - alone.low));
  });

  test("two equally blurred scorers are called different in about 5 % of samples", () => {
    let called = 0;
    const sims = 200;
    for (let sim = 0; sim < sims; sim++) {
      const draw = random(sim, "null");
      const { rows } = twoScorers(1000 + sim, 600, 0);
      const blur = () => rows.scores.map((p) => p * Math.exp(-0.3 * Math.abs(draw.normal())));
      const options = { seed: sim, rounds: 200 };
      const { verdict } = compareScorers(
        logLossMetric,
        { ...rows, scores: blur() },
        blur(),
        options,
      );
      if (verdict !== "noise") called++;
    }
    expect(called / sims).toBeGreaterThan(0.01);
    expect(called / sims).toBeLessThan(0.11);
  });

  test("a verdict that cannot be given is noise", () => {
    const rows: ScoredRows = { scores: Float64Array.of(0.1, 0.2), labels: Uint8Array.of(1, 1) };
    const comparison = compareScorers(aucMetric, rows, Float64Array.of(0.3, 0.2), { seed: 1 });
    expect(comparison.verdict).toBe("noise");
    expect(comparison.difference.value).toBeNaN();
  });
});
