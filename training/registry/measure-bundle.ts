import type { BundleManifest } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { headMetrics } from "../trainers/head-metrics.ts";
import { headStatistics } from "../trainers/head-statistics.ts";
import { bundlePredictions } from "./bundle-predictions.ts";
import { measuredRows } from "./measured-rows.ts";

/**
 * The manifest with metrics on these rows, as `roost train` measures its own: of the heads that the bundle has and the
 * rows have positives of.
 * @throws BAD_DATASET when the rows lack a feature that the bundle reads
 */
export async function measureBundle<M extends Omit<BundleManifest, "version" | "checksum">>(
  model: Uint8Array,
  manifest: M,
  rows: TrainingRows,
  options: { readonly seed: number; readonly rounds: number },
): Promise<M> {
  const predictions = await bundlePredictions({ manifest, model }, rows);
  const own = new Set(
    manifest.heads.flatMap(({ name }) => (manifest.masked_heads.includes(name) ? [] : [name])),
  );
  // A head without positives is not measured, and neither is one that the bundle does not predict.
  const heads = headStatistics(rows).map((head) =>
    own.has(head.name) ? head : { ...head, positives: 0 },
  );
  return {
    ...manifest,
    metrics: headMetrics(predictions, rows, heads, options),
    validation: measuredRows(rows),
  };
}
