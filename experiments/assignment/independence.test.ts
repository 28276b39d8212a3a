import { describe, expect, test } from "vitest";
import { bucket } from "./hash.ts";

/** Chi-square with 1 degree of freedom at p = .001. */
const CHI2_1DF_P001 = 10.827566170662733;
/** Chi-square with 99 degrees of freedom at p = .001. */
const CHI2_99DF_P001 = 148.23035;
const UNITS = 20_000;
const KEYS = Array.from({ length: 40 }, (_, i) => `experiment-${i}`);
const SEQUENTIAL = Array.from({ length: UNITS }, (_, i) => String(i));
const HEX = Array.from({ length: UNITS }, (_, i) => (0x5f3a9c0000 + 7 * i).toString(16));

/** Which units get the second arm of a 50/50 split, as bits. */
function split(key: string, ids: readonly string[], version: number): Uint32Array {
  const bits = new Uint32Array(Math.ceil(ids.length / 32));
  for (const [i, id] of ids.entries()) {
    if ((bucket(key, id, version) as number) >= 0.5)
      bits[i >> 5] = (bits[i >> 5] as number) | (1 << (i & 31));
  }
  return bits;
}

function ones(bits: Uint32Array): number {
  let count = 0;
  for (let word of bits) for (; word !== 0; word &= word - 1) count++;
  return count;
}

/** Pearson's chi-square of the 2×2 table of two splits. */
function dependence(a: Uint32Array, b: Uint32Array): number {
  const [inA, inB] = [ones(a), ones(b)];
  const both = ones(a.map((word, i) => word & (b[i] as number)));
  const cross = both * (UNITS - inA - inB + both) - (inA - both) * (inB - both);
  return (UNITS * cross ** 2) / (inA * (UNITS - inA) * inB * (UNITS - inB));
}

/** How many of the 780 pairs of 40 experiments are dependent at p < .001; 0.8 expected by chance. */
function dependentPairs(ids: readonly string[], version: number): number {
  const splits = KEYS.map((key) => split(key, ids, version));
  let [pairs, dependent] = [0, 0];
  for (const [i, a] of splits.entries()) {
    for (const b of splits.slice(0, i)) {
      pairs++;
      if (dependence(a, b) > CHI2_1DF_P001) dependent++;
    }
  }
  expect(pairs).toBe(780);
  return dependent;
}

describe("splits of 40 experiments over 20,000 ids", () => {
  test("are pairwise independent under version 2: at most 5 of 780 pairs at p < .001", () => {
    expect(dependentPairs(SEQUENTIAL, 2)).toBeLessThanOrEqual(5);
    expect(dependentPairs(HEX, 2)).toBeLessThanOrEqual(5);
  });

  test("are badly dependent under version 1, which is why layers refuse it", () => {
    expect(dependentPairs(SEQUENTIAL, 1)).toBeGreaterThan(200);
  });

  test("fill 100 bins evenly under version 2: at most one key is off at p < .001", () => {
    for (const ids of [SEQUENTIAL, HEX]) {
      const uneven = KEYS.filter((key) => {
        const counts = new Float64Array(100);
        for (const id of ids) {
          const bin = Math.floor(100 * (bucket(key, id, 2) as number) + 1e-9);
          counts[bin] = (counts[bin] as number) + 1;
        }
        const expected = UNITS / 100;
        return counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0) > CHI2_99DF_P001;
      });
      expect(uneven.length).toBeLessThanOrEqual(1);
    }
  });

  test("are independent of a layer's traffic split, even where the salts look alike", () => {
    const traffic = split("layer:ranking", SEQUENTIAL, 2);
    const seeds = ["ranking", "layer:ranking-", "layer:rankinh", ...KEYS];
    const dependent = seeds.filter(
      (seed) => dependence(traffic, split(seed, SEQUENTIAL, 2)) > CHI2_1DF_P001,
    );
    expect(dependent.length).toBeLessThanOrEqual(2);
    expect(dependence(traffic, traffic)).toBeCloseTo(UNITS, 6);
  });
});
