import { createHash } from "node:crypto";
import type { BundleManifest } from "../../features/bundle.ts";
import { type Lineage, publishVersion } from "../../features/models/versions.ts";
import { POST_PART, TWO_TOWER } from "../../features/tower-bundle.ts";
import {
  POST_TOWER,
  type TowerInputs,
  towerColumns,
  towerIdColumns,
  towerSchemaHash,
  USER_TOWER,
} from "../../features/tower-inputs.ts";
import { tableRows } from "../../features/tower-table.ts";
import type { TrainedTowers } from "./train-two-tower.ts";

/** Where towers come from, and how good they are, as their manifest says it. */
export interface TowerFacts extends Pick<BundleManifest, "metrics" | "validation" | "seed"> {
  /** The data set. */
  readonly source: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly rows: number;
  /** Version of the ranker that taught them. */
  readonly teacher?: string;
}

/**
 * Publishes both towers as one version of a stage, so that they can only be moved, promoted and served together. The user
 * tower is its model, the post tower its part; the numbers of a vector are the heads of both.
 */
export function publishTowers(
  stageDir: string,
  towers: TrainedTowers,
  { source, fromMs, toMs, rows, seed, teacher, metrics, validation }: TowerFacts,
  lineage: Pick<Lineage, "parent" | "command" | "published_ms">,
): Promise<BundleManifest> {
  const { buckets, dimension } = towers.settings;
  const heads = Array.from({ length: dimension }, (_, i) => ({
    name: `v${i}`,
    kind: "continuous" as const,
  }));
  const inputsOf = (inputs: TowerInputs) => ({
    features: towerColumns(inputs),
    ids: towerIdColumns(inputs).map((name) => ({ name, buckets: tableRows(buckets) })),
  });
  const checksum = createHash("sha256").update(towers.post).digest("hex");
  return publishVersion(
    stageDir,
    towers.user,
    {
      format: 1,
      kind: TWO_TOWER,
      ...inputsOf(USER_TOWER),
      parts: { [POST_PART]: { ...inputsOf(POST_TOWER), checksum } },
      schema_hash: towerSchemaHash(),
      heads,
      calibration: heads.map(() => ({ kind: "linear", a: 1, b: 0 })),
      masked_heads: [],
      metrics,
      ...(validation && { validation }),
      data: {
        source,
        from_ms: fromMs,
        to_ms: toMs,
        rows,
        positives: { welcomed: towers.examples },
      },
      seed,
      parameters: towers.parameters,
      settings: {
        ...towers.settings,
        steps: towers.steps,
        scale: towers.scale,
        dense_parameters: towers.denseParameters,
        table_parameters: towers.tableParameters,
        training_loss: towers.lastLoss,
        ...(teacher !== undefined && { teacher }),
      },
    },
    lineage,
    { parts: { [POST_PART]: towers.post } },
  );
}
