import { idBucket } from "../../features/bundle.ts";
import type { StateView } from "../../features/entities.ts";
import { FeatureReader } from "../../features/reader.ts";
import type { IdColumn } from "../../features/registry.ts";
import type { ServedModel } from "../inference/inference.ts";
import {
  featureMatrix,
  type HomeQuery,
  idMatrix,
  LOG_POSITION,
  type ModelStage,
} from "../pipeline/home-query.ts";
import type { Hydrator } from "../pipeline/stages.ts";

/** Where features come from; `position` = the last log record that they reflect, where there is a log. */
export interface FeatureSource extends StateView {
  readonly position?: number;
}

/**
 * The matrices that a stage's model reads, `<stage>_features` [n, d] and `<stage>_ids` [n, k], from the feature store.
 * Viewer and request features are computed once and broadcast. The heavy stage notes in `log_position` what its vectors
 * reflect: events that come while the light ranker runs are in them.
 */
export function stageFeatures(stage: ModelStage, state: FeatureSource): Hydrator<HomeQuery> {
  let current: { version: string; reader: FeatureReader } | undefined;

  const readerFor = ({ manifest }: ServedModel): FeatureReader => {
    if (current?.version !== manifest.version)
      current = {
        version: manifest.version,
        reader: new FeatureReader(
          manifest.features,
          manifest.ids.map(({ name }) => name as IdColumn),
        ),
      };
    return current.reader;
  };

  return {
    name: `${stage}_features`,
    timeoutMs: 0,
    onFailure: "open",
    enabled: (query) => query.models[stage] !== undefined,
    hydrate: (query, table) => {
      const model = query.models[stage] as ServedModel;
      const reader = readerFor(model);
      const ids = model.manifest.ids;
      const features = new Float32Array(table.n * reader.features.length);
      const hashes = new Uint32Array(table.n * ids.length);
      reader.begin(query.memo.vectors(state, state.position), {
        userId: query.viewerId,
        nowMs: query.nowMs,
        ...(query.surface === undefined ? {} : { surface: query.surface }),
      });
      for (let row = 0; row < table.n; row++)
        reader.row(
          table.postIds[row] as string,
          table.authorIds[row] as string,
          features,
          hashes,
          row,
        );
      const buckets = new Int32Array(hashes.length);
      for (let k = 0; k < ids.length; k++) {
        const size = (ids[k] as { buckets: number }).buckets;
        for (let i = k; i < hashes.length; i += ids.length)
          buckets[i] = idBucket(hashes[i] as number, size);
      }
      return {
        ...(stage === "heavy" &&
          state.position !== undefined && {
            columns: { [LOG_POSITION]: new Float64Array(table.n).fill(state.position) },
          }),
        matrices: {
          [featureMatrix(stage)]: { width: reader.features.length, values: features },
          ...(ids.length > 0 && { [idMatrix(stage)]: { width: ids.length, values: buckets } }),
        },
      };
    },
  };
}
