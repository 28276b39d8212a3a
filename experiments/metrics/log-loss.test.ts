import { describe, expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { binaryEntropy, logLoss } from "./log-loss.ts";
import { normalizedEntropy, normalizedEntropyMetric } from "./normalized-entropy.ts";
import { rce, rceMetric } from "./rce.ts";

const rows = (scores: number[], labels: number[]) => ({
  scores: Float64Array.from(scores),
  labels: Uint8Array.from(labels),
});

describe("log loss", () => {
  test("is the mean negative log-likelihood", () => {
    const expected = -(Math.log(0.9) + Math.log(0.9) + Math.log(0.8) + Math.log(0.65)) / 4;
    expect(logLoss(rows([0.1, 0.9, 0.8, 0.35], [0, 1, 1, 0]))).toBeCloseTo(expected, 15);
    expect(expected).toBeCloseTo(0.21616187468057912, 14);
  });

  test("is ln 2 for a coin, and weighs rows", () => {
    expect(logLoss(rows([0.5, 0.5], [0, 1]))).toBeCloseTo(Math.LN2, 15);
    const weighted = { ...rows([0.5, 0.25], [0, 1]), weights: Float64Array.of(1, 3) };
    expect(logLoss(weighted)).toBeCloseTo((Math.LN2 + 3 * 2 * Math.LN2) / 4, 15);
  });

  test("a saturated prediction costs −ln 1e-15 when wrong and nothing when right", () => {
    expect(logLoss(rows([0, 1], [0, 1]))).toBeCloseTo(0, 14);
    expect(logLoss(rows([0], [1]))).toBeCloseTo(34.538776394910684, 10);
    expect(logLoss(rows([1], [0]))).toBeCloseTo(34.54, 1);
  });

  test("is undefined without rows or weight", () => {
    expect(logLoss(rows([], []))).toBeNaN();
    expect(logLoss({ ...rows([0.5], [1]), weights: Float64Array.of(0) })).toBeNaN();
  });
});

describe("normalised entropy and RCE", () => {
  test("predicting the base rate gives 1 and 0 %, perfect gives 0 and 100 %", () => {
    const labels = [1, 0, 0, 0, 0];
    expect(normalizedEntropy(rows([0.2, 0.2, 0.2, 0.2, 0.2], labels))).toBeCloseTo(1, 14);
    expect(rce(rows([0.2, 0.2, 0.2, 0.2, 0.2], labels))).toBeCloseTo(0, 12);
    expect(normalizedEntropy(rows(labels, labels))).toBeCloseTo(0, 13);
    expect(rce(rows(labels, labels))).toBeCloseTo(100, 11);
  });

  test("RCE is 100 · (1 − normalised entropy) of the same rows, also under unit weights", () => {
    const draw = random(4, "rce");
    const n = 200;
    const data = {
      scores: Float64Array.from({ length: n }, () => draw.next()),
      labels: Uint8Array.from({ length: n }, () => draw.below(2)),
      units: Int32Array.from({ length: n }, () => draw.below(10)),
    };
    const times = Float64Array.from({ length: 10 }, () => draw.below(3));
    expect(rce(data)).toBeCloseTo(100 * (1 - normalizedEntropy(data)), 10);
    expect(rceMetric().prepare(data).value(times)).toBeCloseTo(
      100 * (1 - normalizedEntropyMetric.prepare(data).value(times)),
      10,
    );
  });

  test("RCE against a given base rate compares with that constant", () => {
    const data = rows([0.3, 0.6, 0.1], [0, 1, 0]);
    const constant = logLoss(rows([0.25, 0.25, 0.25], [0, 1, 0]));
    expect(rce(data, 0.25)).toBeCloseTo(100 * (1 - logLoss(data) / constant), 12);
    expect(() => rce(data, 1)).toThrow(/baseRate is 1/);
  });

  test("both are undefined with one class", () => {
    expect(normalizedEntropy(rows([0.3], [1]))).toBeNaN();
    expect(rce(rows([0.3, 0.2], [0, 0]))).toBeNaN();
    expect(rce(rows([0.3, 0.2], [0, 0]), 0.1)).not.toBeNaN();
  });

  test("entropy is ln 2 at a half and 0 at the ends", () => {
    expect(binaryEntropy(0.5)).toBeCloseTo(Math.LN2, 15);
    expect([binaryEntropy(0), binaryEntropy(1)]).toEqual([0, 0]);
    expect(binaryEntropy(1e-9)).toBeCloseTo(1e-9 * (1 - Math.log(1e-9)), 15);
  });
});
