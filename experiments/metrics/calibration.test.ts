import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { calibration } from "./calibration.ts";
import { wilsonInterval, Z_95 } from "./wilson.ts";

describe("calibration", () => {
  test("cuts rows into equal-count bins by prediction", () => {
    const scores = Float64Array.of(0.9, 0.1, 0.2, 0.8, 0.3, 0.7);
    const { bins, overall } = calibration({ scores, labels: Uint8Array.of(1, 0, 0, 1, 1, 0) }, 3);
    expect(bins.map((bin) => bin.n)).toEqual([2, 2, 2]);
    expect(bins.map((bin) => bin.observed)).toEqual([0, 0.5, 1]);
    expect(bins[0]?.predicted).toBeCloseTo(0.15, 15);
    expect(bins[1]?.ratio).toBeCloseTo(1, 15);
    expect(bins[0]?.ratio).toBeNaN();
    expect(overall).toMatchObject({ n: 6, observed: 0.5 });
    expect(overall.ratio).toBeCloseTo(1, 15);
  });

  test("never splits a run of equal predictions, so the row order cannot matter", () => {
    const scores = [0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.3, 0.4, 0.5];
    const labels = [0, 1, 1, 1, 0, 0, 0, 1, 0, 1];
    const forward = calibration(
      { scores: Float64Array.from(scores), labels: Uint8Array.from(labels) },
      5,
    );
    expect(forward.bins.map((bin) => bin.n)).toEqual([7, 1, 2]);
    const backward = calibration(
      {
        scores: Float64Array.from(scores.toReversed()),
        labels: Uint8Array.from(labels.toReversed()),
      },
      5,
    );
    expect(backward.bins.map(({ n, observed }) => [n, observed])).toEqual(
      forward.bins.map(({ n, observed }) => [n, observed]),
    );
    const constant = { scores: new Float64Array(50).fill(0.3), labels: new Uint8Array(50) };
    expect(calibration(constant).bins).toHaveLength(1);
  });

  test("fewer rows than bins give a bin a row; no rows give none", () => {
    const few = { scores: Float64Array.of(0.4, 0.6), labels: Uint8Array.of(0, 1) };
    expect(calibration(few).bins.map((bin) => bin.n)).toEqual([1, 1]);
    const none = calibration({ scores: new Float64Array(), labels: new Uint8Array() });
    expect(none.bins).toEqual([]);
    expect(none.overall.n).toBe(0);
    expect(none.overall.ratio).toBeNaN();
  });

  test("finds a model that predicts twice the rate, and its ratio interval holds 2", () => {
    const draw = random(6, "calibration");
    const n = 40_000;
    const truth = Float64Array.from({ length: n }, () => 0.4 * draw.next());
    const labels = Uint8Array.from(truth, (p) => (draw.next() < p ? 1 : 0));
    const doubled = calibration({ scores: truth.map((p) => 2 * p), labels });
    expect(doubled.bins).toHaveLength(10);
    expect(doubled.bins.every((bin) => bin.n === 4000)).toBe(true);
    expect(doubled.overall.ratioLow).toBeLessThan(2);
    expect(doubled.overall.ratioHigh).toBeGreaterThan(2);
    expect(doubled.overall.ratioLow).toBeGreaterThan(1.9);
    const honest = calibration({ scores: truth, labels });
    const inside = honest.bins.filter(
      (bin) => bin.observedLow <= bin.predicted && bin.predicted <= bin.observedHigh,
    );
    expect(inside.length).toBeGreaterThanOrEqual(8);
  });

  test("holds the true rate about 95 times in 100, also where users differ from what is predicted", () => {
    const draw = random(7, "clustered");
    const [users, each] = [100, 40];
    const n = users * each;
    const scores = new Float64Array(n).fill(0.1);
    const groups = Int32Array.from({ length: n }, (_, row) => Math.floor(row / each));
    const covers = { clustered: 0, independent: 0 };
    for (let sim = 0; sim < 1000; sim++) {
      // Half the users act at .15, half at .05: what is predicted is right only on average.
      const rates = Array.from({ length: users }, () => (draw.next() < 0.5 ? 0.05 : 0.15));
      const labels = Uint8Array.from(groups, (user) =>
        draw.next() < (rates[user] as number) ? 1 : 0,
      );
      for (const [kind, rows] of [
        ["clustered", { scores, labels, groups }],
        ["independent", { scores, labels }],
      ] as const) {
        const { observedLow, observedHigh } = calibration(rows).overall;
        if (observedLow <= 0.1 && 0.1 <= observedHigh) covers[kind]++;
      }
    }
    expect(covers.clustered / 1000).toBeGreaterThan(0.92);
    expect(covers.clustered / 1000).toBeLessThan(0.97);
    expect(covers.independent / 1000).toBeLessThan(0.87);
  });

  test("refuses row weights and a senseless bin count", () => {
    const rows = { scores: Float64Array.of(0.4), labels: Uint8Array.of(0) };
    expect(() => calibration({ ...rows, weights: Float64Array.of(1) })).toThrow(/weights/);
    expect(() => calibration(rows, 0)).toThrow(/binCount is 0/);
  });
});

describe("Wilson interval", () => {
  test("solves (p̂ − p)² = z² p (1 − p) / n at both ends", () => {
    for (const [successes, n] of [
      [0, 10],
      [1, 10],
      [81, 263],
      [10, 10],
      [3, 1000],
    ] as const) {
      const { low, high } = wilsonInterval(successes, n);
      for (const p of [low, high]) {
        const left = (successes / n - p) ** 2;
        expect(left).toBeCloseTo((1.959963984540054 ** 2 * p * (1 - p)) / n, 12);
      }
      expect(low).toBeLessThan(high);
    }
  });

  test("gives Newcombe's published 0.2553–0.3662 for 81 of 263", () => {
    const { low, high } = wilsonInterval(81, 263);
    expect(low).toBeCloseTo(0.2553, 4);
    expect(high).toBeCloseTo(0.3662, 4);
  });

  test("covers the true rate in about 95 % of samples, also near 0", () => {
    const draw = random(9, "wilson");
    for (const rate of [0.03, 0.3]) {
      let covered = 0;
      for (let sim = 0; sim < 2000; sim++) {
        let successes = 0;
        for (let i = 0; i < 200; i++) if (draw.next() < rate) successes++;
        const { low, high } = wilsonInterval(successes, 200);
        if (low <= rate && rate <= high) covered++;
      }
      expect(Math.abs(covered / 2000 - 0.95)).toBeLessThan(0.025);
    }
  });

  test("has no ends without trials", () => {
    expect(wilsonInterval(0, 0)).toEqual({ low: Number.NaN, high: Number.NaN });
  });
});

const oracle = join(
  process.env.ROOST_SHARED ?? "../shared",
  "conformance/numeric-oracles/special-functions.json",
);
test.skipIf(!existsSync(oracle))(
  `z is the oracle's normal quantile of .975 (needs ${oracle})`,
  () => {
    const { normalQuantile } = JSON.parse(readFileSync(oracle, "utf8")) as {
      normalQuantile: [number, number][];
    };
    expect(new Map(normalQuantile).get(0.975)).toBeCloseTo(Z_95, 15);
  },
);
