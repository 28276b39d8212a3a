import { aucMetric } from "../../experiments/metrics/auc.ts";
import { bootstrap, type Interval } from "../../experiments/metrics/bootstrap.ts";
import { compareScorers, type Verdict } from "../../experiments/metrics/compare.ts";
import { normalizedEntropyMetric } from "../../experiments/metrics/normalized-entropy.ts";
import { BINARY_HEAD_METRICS } from "../../experiments/metrics/standard.ts";
import type { Bundle, BundleManifest } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { headStatistics } from "../trainers/head-statistics.ts";
import { bundlePredictions } from "./bundle-predictions.ts";

export interface ComparedMetric {
  readonly head: string;
  readonly metric: string;
  readonly a: Interval;
  readonly b: Interval;
  /** B − A. Its interval is there when both were measured on the same resamples of the same rows. */
  readonly difference: { readonly value: number; readonly low?: number; readonly high?: number };
  /** What B is against A. */
  readonly verdict: Verdict;
}

export interface VersionComparison {
  /** Whether both were measured on the same rows; otherwise every verdict is noise. */
  readonly same_rows: boolean;
  readonly paired: boolean;
  readonly metrics: readonly ComparedMetric[];
}

const BETTER = new Map(BINARY_HEAD_METRICS.map(({ name, better }) => [name, better]));

/**
 * Compares what two bundles say of themselves. Without the rows there is no paired interval, so intervals that overlap
 * are noise; this misses small true differences, which `comparePaired` finds.
 */
export function compareManifests(a: BundleManifest, b: BundleManifest): VersionComparison {
  const same = a.validation !== undefined && a.validation.checksum === b.validation?.checksum;
  const metrics = Object.entries(a.metrics).flatMap(([head, ofHead]) =>
    Object.entries(ofHead).flatMap(([metric, before]): ComparedMetric[] => {
      const after = b.metrics[head]?.[metric];
      if (after === undefined) return [];
      return [
        {
          head,
          metric,
          a: before,
          b: after,
          difference: { value: after.value - before.value },
          verdict: same ? apart(metric, before, after) : "noise",
        },
      ];
    }),
  );
  return { same_rows: same, paired: false, metrics };
}

/** Whether the intervals leave no doubt. A ratio is better the nearer to 1 it is; other metrics know their direction. */
function apart(metric: string, a: Interval, b: Interval): Verdict {
  const better = BETTER.get(metric);
  if (better === undefined) {
    if (!(a.low > b.high || b.low > a.high)) return "noise";
    return Math.abs(b.value - 1) < Math.abs(a.value - 1) ? "better" : "worse";
  }
  const [sure, lost] =
    better === "higher" ? [b.low > a.high, b.high < a.low] : [b.high < a.low, b.low > a.high];
  return sure ? "better" : lost ? "worse" : "noise";
}

/**
 * Measures both bundles on the same rows: AUC and normalised entropy of every binary head that both have, with intervals
 * of the paired difference over resampled viewers.
 * @throws BAD_DATASET when the rows lack a feature that a bundle reads
 */
export async function comparePaired(
  a: Bundle,
  b: Bundle,
  rows: TrainingRows,
  options: { readonly seed: number; readonly rounds: number },
): Promise<VersionComparison> {
  const before = await bundlePredictions(a, rows);
  const after = await bundlePredictions(b, rows);
  const width = rows.headNames.length;
  const own = ({ manifest }: Bundle) =>
    new Map(manifest.heads.map(({ name }) => [name, !manifest.masked_heads.includes(name)]));
  const [ownA, ownB] = [own(a), own(b)];
  const metrics: ComparedMetric[] = [];
  for (const [h, head] of headStatistics(rows).entries()) {
    if (head.kind !== "binary" || head.positives === 0) continue;
    if (!ownA.get(head.name) || !ownB.get(head.name)) continue;
    const column = (values: Float32Array): Float32Array =>
      Float32Array.from({ length: rows.n }, (_, row) => values[row * width + h] as number);
    const scored = {
      scores: column(before),
      labels: column(rows.labels),
      weights: rows.weight,
      units: rows.user,
    };
    for (const metric of [aucMetric, normalizedEntropyMetric]) {
      const { baseline, candidate, difference, verdict } = compareScorers(
        metric,
        scored,
        column(after),
        options,
      );
      if (![baseline, candidate].every(Number.isFinite)) continue;
      metrics.push({
        head: head.name,
        metric: metric.name,
        a: bootstrap(metric, scored, options),
        b: bootstrap(metric, { ...scored, scores: column(after) }, options),
        difference,
        verdict,
      });
    }
  }
  return { same_rows: true, paired: true, metrics };
}
