import { random } from "../../datasets/random.ts";
import { RoostError } from "../../errors.ts";
import type { Metric, PreparedMetric } from "./metric.ts";
import type { ScoredRows } from "./scored-rows.ts";

export interface BootstrapOptions {
  readonly seed: number;
  /** Resamples; 1,000 keeps the ends of a 95 % interval steady to about a tenth of its width. */
  readonly rounds?: number;
  /** Coverage of the interval, in (0, 1). */
  readonly level?: number;
}

/** A value with its percentile bootstrap interval; both ends NaN when it cannot be given. */
export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** With more undefined rounds than this the rest no longer stands for the sampling distribution. */
const MAX_UNDEFINED_SHARE = 0.1;

/**
 * The metric with a percentile interval from resampling whole units (users) with replacement, so that the rows of a user
 * stay together. Same seed, same interval. The ends are NaN below 2 units, or when over a tenth of the rounds leave the
 * metric undefined (a head with a handful of positives).
 * @throws COLUMN_LENGTH, BAD_METRIC_INPUT
 * Source: Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13; clusters as sampling units.
 */
export function bootstrap(metric: Metric, rows: ScoredRows, options: BootstrapOptions): Interval {
  const prepared = metric.prepare(rows);
  return bootstrapAll([prepared], ([value]) => value as number, options);
}

/**
 * Interval of `statistic`, a function of several prepared metrics over the same units, every round evaluating all of them
 * under the same resample.
 * @throws BAD_METRIC_INPUT when the metrics count different units, or for rounds or level out of range
 */
export function bootstrapAll(
  metrics: readonly PreparedMetric[],
  statistic: (values: readonly number[]) => number,
  { seed, rounds = 1000, level = 0.95 }: BootstrapOptions,
): Interval {
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new RoostError("BAD_METRIC_INPUT", `rounds is ${rounds}, must be an integer ≥ 1`);
  }
  if (!(level > 0 && level < 1)) {
    throw new RoostError("BAD_METRIC_INPUT", `level is ${level}, must lie between 0 and 1`);
  }
  const unitCount = metrics[0]?.unitCount ?? 0;
  if (metrics.some((metric) => metric.unitCount !== unitCount)) {
    throw new RoostError("BAD_METRIC_INPUT", "the metrics count different units");
  }
  const value = statistic(metrics.map((metric) => metric.value()));
  const nothing = { value, low: Number.NaN, high: Number.NaN };
  if (unitCount < 2 || Number.isNaN(value)) return nothing;

  const draws = new Float64Array(rounds);
  const times = new Float64Array(unitCount);
  let defined = 0;
  for (let round = 0; round < rounds; round++) {
    const draw = random(seed, "bootstrap", round);
    times.fill(0);
    for (let i = 0; i < unitCount; i++) {
      const unit = draw.below(unitCount);
      times[unit] = (times[unit] as number) + 1;
    }
    const drawn = statistic(metrics.map((metric) => metric.value(times)));
    if (!Number.isNaN(drawn)) draws[defined++] = drawn;
  }
  if (rounds - defined > MAX_UNDEFINED_SHARE * rounds) return nothing;
  const sorted = draws.subarray(0, defined).sort();
  return {
    value,
    low: quantile(sorted, (1 - level) / 2),
    high: quantile(sorted, (1 + level) / 2),
  };
}

/** Quantile q of ascending values, linear between neighbours. Source: Hyndman and Fan (1996), definition 7. */
export function quantile(sorted: Float64Array, q: number): number {
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return low + (at - below) * (high - low);
}
