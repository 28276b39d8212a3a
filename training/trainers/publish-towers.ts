import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Interval } from "../../experiments/metrics/bootstrap.ts";
import { type BundleManifest, writeBundle } from "../../features/bundle.ts";
import {
  POST_TOWER,
  towerColumns,
  towerIdColumns,
  towerSchemaHash,
  USER_TOWER,
} from "../../features/tower-inputs.ts";
import { tableRows } from "../../features/tower-table.ts";
import type { TrainedTowers } from "./train-two-tower.ts";

export interface TowerLineage {
  /** The data set. */
  readonly source: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly rows: number;
  readonly seed: number;
  readonly metrics: Readonly<Record<string, Interval>> | undefined;
}

/**
 * Writes `user_tower` and `post_tower` into `dir`, each a bundle of its own: the numbers of a vector are its heads. Both
 * carry the same `pair`: vectors of one training fit together, others do not.
 */
export async function publishTowers(
  dir: string,
  towers: TrainedTowers,
  lineage: TowerLineage,
): Promise<Record<"user_tower" | "post_tower", BundleManifest>> {
  const { buckets, dimension } = towers.settings;
  const pair = createHash("sha256")
    .update(towers.user)
    .update(towers.post)
    .digest("hex")
    .slice(0, 16);
  const publish = (kind: "user_tower" | "post_tower"): Promise<BundleManifest> => {
    const inputs = kind === "user_tower" ? USER_TOWER : POST_TOWER;
    const heads = Array.from({ length: dimension }, (_, i) => ({
      name: `v${i}`,
      kind: "continuous" as const,
    }));
    return writeBundle(join(dir, kind), kind === "user_tower" ? towers.user : towers.post, {
      format: 1,
      kind,
      features: towerColumns(inputs),
      schema_hash: towerSchemaHash(inputs),
      ids: towerIdColumns(inputs).map((name) => ({ name, buckets: tableRows(buckets) })),
      heads,
      calibration: heads.map(() => ({ kind: "linear", a: 1, b: 0 })),
      masked_heads: [],
      metrics: lineage.metrics === undefined ? {} : { retrieval: { ...lineage.metrics } },
      data: {
        source: lineage.source,
        from_ms: lineage.fromMs,
        to_ms: lineage.toMs,
        rows: lineage.rows,
        positives: { welcomed: towers.examples },
      },
      seed: lineage.seed,
      parameters: towers.parameters,
      settings: {
        ...towers.settings,
        pair,
        steps: towers.steps,
        scale: towers.scale,
        table_parameters: towers.tableParameters,
        training_loss: towers.lastLoss,
      },
    });
  };
  // The post tower last: who watches it finds the pair whole.
  const user = await publish("user_tower");
  return { user_tower: user, post_tower: await publish("post_tower") };
}
