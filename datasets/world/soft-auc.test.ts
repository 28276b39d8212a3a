import fc from "fast-check";
import { expect, test } from "vitest";
import { random } from "../random.ts";
import { expectedAuc } from "./soft-auc.ts";

test("equals the sum over all pairs", () => {
  const probability = fc.integer({ min: 1, max: 9 }).map((x) => x / 10);
  fc.assert(
    fc.property(fc.array(probability, { minLength: 2, maxLength: 30 }), (values) => {
      const p = Float32Array.from(values);
      let won = 0;
      let pairs = 0;
      for (let i = 0; i < p.length; i++) {
        for (let j = 0; j < p.length; j++) {
          if (i === j) continue;
          const weight = p[i]! * (1 - p[j]!);
          pairs += weight;
          won += weight * (p[i]! > p[j]! ? 1 : p[i] === p[j] ? 0.5 : 0);
        }
      }
      expect(expectedAuc(p)).toBeCloseTo(won / pairs, 9);
    }),
  );
});

test("is the mean AUC of drawn outcomes", () => {
  const source = random(1, "auc");
  const p = Float32Array.from({ length: 3000 }, () => 0.5 * source.next() ** 2);
  let sum = 0;
  const rounds = 60;
  for (let round = 0; round < rounds; round++) {
    const rows = [...p].map((score) => ({ score, hit: source.next() < score }));
    rows.sort((a, b) => a.score - b.score);
    let rankSum = 0;
    let hits = 0;
    for (const [rank, row] of rows.entries()) {
      if (!row.hit) continue;
      hits++;
      rankSum += rank + 1;
    }
    sum += (rankSum - (hits * (hits + 1)) / 2) / (hits * (rows.length - hits));
  }
  expect(sum / rounds).toBeCloseTo(expectedAuc(p), 2);
});
