import { bootstrapAll, type Interval } from "../../experiments/metrics/bootstrap.ts";
import { recallOfIds } from "../../experiments/metrics/recall.ts";
import type { Recommender } from "./recommender.ts";

/** What a viewer did in the days judged. */
export interface Wanted {
  readonly userId: string;
  /** Posts that were acted on and had not been seen before. */
  readonly relevant: ReadonlySet<string>;
  /** Posts seen before: not to be recommended again. */
  readonly seen: ReadonlySet<string>;
}

/** `recall@k` by name, as means over viewers with intervals over resampled viewers. */
export function retrievalRecall(
  recommender: Recommender,
  wanted: readonly Wanted[],
  options: {
    readonly nowMs: number;
    readonly ks: readonly number[];
    readonly seed: number;
    readonly rounds: number;
  },
): Record<string, Interval> {
  const { nowMs, ks, seed, rounds } = options;
  const recalls = ks.map(() => new Float64Array(wanted.length));
  wanted.forEach(({ userId, relevant, seen }, w) => {
    const found = recommender.recommend(userId, nowMs, Math.max(...ks), seen);
    ks.forEach((k, i) => {
      (recalls[i] as Float64Array)[w] = recallOfIds(found, relevant, k);
    });
  });
  return Object.fromEntries(
    ks.map((k, i) => [
      `recall@${k}`,
      bootstrapAll([meanOf(recalls[i] as Float64Array)], ([value]) => value as number, {
        seed,
        rounds,
      }),
    ]),
  );
}

const meanOf = (values: Float64Array) => ({
  unitCount: values.length,
  value: (unitWeights?: Float64Array): number => {
    let [sum, total] = [0, 0];
    for (let u = 0; u < values.length; u++) {
      const weight = unitWeights?.[u] ?? 1;
      sum += weight * (values[u] as number);
      total += weight;
    }
    return sum / total;
  },
});
