import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { calibrate } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { calibrateHeads } from "./calibration.ts";
import { cubicScaling } from "./cubic.ts";
import { headStatistics } from "./head-statistics.ts";
import { isotonicCurve } from "./isotonic.ts";
import { plantedRows } from "./planted-rows.ts";
import { plattScaling } from "./platt.ts";

const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));
const ones = (n: number): Float64Array => new Float64Array(n).fill(1);

test("Platt recovers the slope and shift that labels were drawn with", () => {
  const draws = random(1, "platt");
  const z = Float64Array.from({ length: 60_000 }, () => 2 * draws.normal() - 2);
  const y = Float64Array.from(z, (value) => Number(draws.next() < sigmoid(0.6 * value - 0.4)));
  const { a, b } = plattScaling(z, y, ones(z.length));
  // Standard errors at this size: about 0.007 and 0.014.
  expect(Math.abs(a - 0.6)).toBeLessThan(0.03);
  expect(Math.abs(b + 0.4)).toBeLessThan(0.06);
});

test("Platt's optimum has a zero gradient, checked by central differences of the penalised likelihood", () => {
  const draws = random(2, "platt");
  const z = Float64Array.from({ length: 50 }, () => 3 * draws.normal());
  const y = Float64Array.from(z, () => draws.below(2));
  const loss = (a: number, b: number): number => {
    let sum = (a - 1) ** 2 / (2 * 0.3 ** 2) + b ** 2 / 2;
    z.forEach((value, i) => {
      const p = sigmoid(a * value + b);
      sum -= y[i] === 1 ? Math.log(p) : Math.log(1 - p);
    });
    return sum;
  };
  const { a, b } = plattScaling(z, y, ones(50));
  if (a > 0.05) expect(Math.abs(loss(a + 1e-5, b) - loss(a - 1e-5, b)) / 2e-5).toBeLessThan(1e-4);
  expect(Math.abs(loss(a, b + 1e-5) - loss(a, b - 1e-5)) / 2e-5).toBeLessThan(1e-4);
});

test("with no rows or masked labels only, Platt is the identity; with three rows it stays near it", () => {
  expect(plattScaling([], [], [])).toEqual({ a: 1, b: 0 });
  expect(plattScaling([1], [Number.NaN], [1])).toEqual({ a: 1, b: 0 });
  const { a, b } = plattScaling([-3, -4, -3.5], [1, 0, 0], [1, 1, 1]);
  expect(Math.abs(a - 1)).toBeLessThan(0.35);
  expect(Math.abs(b)).toBeLessThan(1.5);
});

const CURVE = [-1.5, 1, 0.25, 0.08] as const;
const curved = (u: number): number => CURVE[0] + u * (CURVE[1] + u * (CURVE[2] + u * CURVE[3]));

test("the cubic recovers the curve that labels were drawn with, within its range and along the tangent beyond", () => {
  const draws = random(5, "cubic");
  const z = Float64Array.from({ length: 120_000 }, () => 2 * draws.normal() - 3);
  const y = Float64Array.from(z, (value) =>
    Number(draws.next() < sigmoid(curved((value + 3) / 2))),
  );
  const curve = cubicScaling(z, y, ones(z.length));
  if (curve === undefined) throw new Error("no curve");
  const rule = { kind: "cubic", ...curve } as const;
  for (const u of [-2, -1, 0, 1, 2])
    expect(Math.abs(calibrate(rule, 2 * u - 3) / sigmoid(curved(u)) - 1)).toBeLessThan(0.06);
  const end = curve.center + curve.scale * curve.high;
  const logit = (value: number): number => {
    const p = calibrate(rule, value);
    return Math.log(p / (1 - p));
  };
  const inner = logit(end) - logit(end - 1e-4);
  expect(logit(end + 1e-4) - logit(end)).toBeCloseTo(inner, 6);
  expect(logit(end + 2)).toBeGreaterThan(logit(end));
});

test("the cubic's optimum has a zero gradient, checked by central differences of the likelihood", () => {
  const draws = random(6, "cubic");
  const z = Float64Array.from({ length: 400 }, () => 2 * draws.normal());
  const y = Float64Array.from(z, (value) => Number(draws.next() < sigmoid(value)));
  const curve = cubicScaling(z, y, ones(400));
  if (curve === undefined) throw new Error("no curve");
  const loss = (c: readonly number[]): number =>
    z.reduce((sum, value, i) => {
      const u = (value - curve.center) / curve.scale;
      const p = sigmoid(c.reduceRight((rest, factor) => rest * u + factor, 0));
      return sum - Math.log(y[i] === 1 ? p : 1 - p);
    }, 0);
  curve.c.forEach((_, k) => {
    const moved = (by: number) => loss(curve.c.map((value, j) => (j === k ? value + by : value)));
    expect(Math.abs(moved(1e-5) - moved(-1e-5)) / 2e-5).toBeLessThan(1e-3);
  });
});

test("a cubic that would turn the order round, or has nothing to learn from, is refused", () => {
  const draws = random(7, "cubic");
  const z = Float64Array.from({ length: 20_000 }, () => 2 * draws.normal());
  const hill = Float64Array.from(z, (value) => Number(draws.next() < sigmoid(1 - value * value)));
  expect(cubicScaling(z, hill, ones(z.length))).toBeUndefined();
  expect(cubicScaling([], [], [])).toBeUndefined();
  expect(cubicScaling([1, 1], [0, 1], [1, 1])).toBeUndefined();
});

test("isotonic regression equals the brute-force minimum over all ways to cut into blocks", () => {
  const draws = random(3, "pav");
  for (let round = 0; round < 40; round++) {
    const n = 2 + draws.below(7);
    const x = Array.from({ length: n }, (_, i) => i);
    const y = x.map(() => draws.below(10) / 10);
    const w = x.map(() => 1 + draws.below(3));
    const curve = isotonicCurve(x, y, w);
    let best = Number.POSITIVE_INFINITY;
    for (let cuts = 0; cuts < 1 << (n - 1); cuts++) {
      const means: number[] = [];
      let [loss, from] = [0, 0];
      for (let i = 0; i < n; i++) {
        if (i < n - 1 && (cuts & (1 << i)) === 0) continue;
        let [weight, sum] = [0, 0];
        for (let j = from; j <= i; j++) {
          weight += w[j] as number;
          sum += (w[j] as number) * (y[j] as number);
        }
        means.push(sum / weight);
        for (let j = from; j <= i; j++)
          loss += (w[j] as number) * ((y[j] as number) - sum / weight) ** 2;
        from = i + 1;
      }
      if (means.every((mean, i) => i === 0 || mean >= (means[i - 1] as number)))
        best = Math.min(best, loss);
    }
    // The curve's blocks: value of row i = y of the block whose weighted centre is nearest in order.
    let [loss, row] = [0, 0];
    curve.y.forEach((value, block) => {
      let [weight, sumX] = [0, 0];
      while (row < n) {
        weight += w[row] as number;
        sumX += (w[row] as number) * (x[row] as number);
        loss += (w[row] as number) * ((y[row] as number) - value) ** 2;
        row++;
        if (Math.abs(sumX / weight - (curve.x[block] as number)) < 1e-9) break;
      }
    });
    expect(row).toBe(n);
    expect(loss).toBeCloseTo(best, 9);
  }
});

test("equal scores become one point, in whatever order their labels stand", () => {
  expect(isotonicCurve([1, 1, 1, 2], [0, 1, 0, 1], [1, 1, 1, 1])).toEqual({
    x: [1, 2],
    y: [1 / 3, 1],
  });
  expect(isotonicCurve([1, 1, 1, 2], [1, 0, 0, 1], [1, 1, 1, 1]).y).toEqual([1 / 3, 1]);
});

/** Rows with one head whose labels are drawn with `truth` of the logit, and those logits as model outputs. */
function scored(
  n: number,
  truth: (z: number) => number,
  spread = 1.5,
): { rows: TrainingRows; outputs: Float32Array } {
  const draws = random(4, "scored", n);
  const outputs = Float32Array.from({ length: n }, () => spread * draws.normal() - 1);
  const rows = plantedRows({ n, features: 1, heads: [{ name: "click", truth: () => 0 }], seed: 1 });
  const labels = Float32Array.from(outputs, (z) => Number(draws.next() < truth(z)));
  return { rows: { ...rows, labels }, outputs };
}

test("a head that is a line on the logit scale gets Platt, a curved one the cubic, a step with many positives isotonic", () => {
  const straight = scored(20_000, (z) => sigmoid(0.8 * z - 0.2));
  const bent = scored(20_000, (z) => (z < 0 ? 0.1 : 0.6));
  const curve = scored(40_000, (z) => sigmoid(curved((z + 1) / 1.5)));
  const few = scored(1500, (z) => (z < 0 ? 0.1 : 0.6));
  const kind = ({ rows, outputs }: ReturnType<typeof scored>): string | undefined =>
    calibrateHeads(outputs, rows, headStatistics(rows))[0]?.kind;
  expect(kind(straight)).toBe("platt");
  expect(kind(curve)).toBe("cubic");
  expect(kind(bent)).toBe("isotonic");
  expect(kind(few)).toBe("platt");
});

test("calibrated probabilities match the rate in every tenth of the scores", () => {
  const { rows, outputs } = scored(40_000, (z) => sigmoid(0.5 * z - 1));
  const [rule] = calibrateHeads(outputs, rows, headStatistics(rows));
  const order = [...outputs.keys()].sort((a, b) => (outputs[a] as number) - (outputs[b] as number));
  for (let bin = 0; bin < 10; bin++) {
    const some = order.slice(bin * 4000, (bin + 1) * 4000);
    const mean = (of: (row: number) => number): number =>
      some.reduce((sum, row) => sum + of(row), 0) / some.length;
    const predicted = mean((row) => calibrate(rule!, outputs[row] as number));
    const observed = mean((row) => rows.labels[row] as number);
    expect(Math.abs(predicted - observed)).toBeLessThan(
      4 * Math.sqrt((observed * (1 - observed)) / 4000),
    );
  }
});

test("amounts get the least-squares line, a masked head the identity", () => {
  const rows = plantedRows({
    n: 4,
    features: 1,
    heads: [
      { name: "dwell_seconds", kind: "continuous", truth: () => 1 },
      { name: "report", truth: () => -60 },
    ],
    seed: 1,
  });
  const labels = Float32Array.of(5, 0, 7, 0, 9, 0, Number.NaN, 0);
  const outputs = Float32Array.of(1, -9, 2, -9, 3, -9, 100, -9);
  const heads = headStatistics({ ...rows, labels });
  expect(calibrateHeads(outputs, { ...rows, labels }, heads)).toEqual([
    { kind: "linear", a: 2, b: 3 },
    { kind: "platt", a: 1, b: 0 },
  ]);
});
