import { readManifest } from "../../datasets/dataset.ts";
import { datasetSplit } from "../../datasets/split.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import type { IdColumn } from "../../features/registry.ts";
import { rowsBetween } from "../../features/replay.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { datasetRows } from "../dataset-rows.ts";

/**
 * The validation rows of a data set with the features and ids that some models read: those that `measured` names or, when
 * it names none, those that `roost train` splits off by default.
 * @throws BAD_DATASET when there is no data set in `data`
 */
export async function validationRows(
  data: string,
  columns: readonly {
    readonly features: readonly string[];
    readonly ids: readonly { readonly name: string }[];
  }[],
  measured?: BundleManifest["validation"],
): Promise<TrainingRows> {
  const manifest = readManifest(data);
  const { fromMs, toMs } =
    measured === undefined
      ? datasetSplit(manifest).validation
      : { fromMs: measured.from_ms, toMs: measured.to_ms + 1 };
  const rows = await datasetRows(data, manifest, {
    features: [...new Set(columns.flatMap(({ features }) => features))],
    ids: [...new Set(columns.flatMap(({ ids }) => ids.map(({ name }) => name as IdColumn)))],
    toMs,
  });
  return rowsBetween(rows, fromMs, toMs);
}
