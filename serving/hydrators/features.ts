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
      const { view, posts } = query.memo.vectors(state, state.position);
      reader.begin(view, {
        userId: query.viewerId,
        nowMs: query.nowMs,
        ...(query.surface === undefined ? {} : { surface: query.surface }),
      });
      const vectors: (Float64Array | undefined)[] = [];
      for (let row = 0; row < table.n; row++) {
        const origin = table.origin[row] as number;
        let post = posts[origin];
        if (post === undefined) {
          post = view.get("post", table.postIds[row] as string) ?? null;
          posts[origin] = post;
        }
        vectors.push(post ?? undefined);
      }
      touch(vectors);
      for (let row = 0; row < table.n; row++)
        reader.rowOf(vectors[row], table.authorIds[row] as string, features, hashes, row);
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

/** Float64s in a cache line. */
const LINE = 8;
/** Kept, so that the loop is not optimised away. */
const touched = { sum: 0 };

/**
 * Reads one number of each cache line of each vector. These loads do not depend on each other, so the processor waits for
 * many at once; computing row by row waits for each.
 */
function touch(vectors: readonly (Float64Array | undefined)[]): void {
  let sum = 0;
  for (const vector of vectors)
    if (vector !== undefined)
      for (let i = 0; i < vector.length; i += LINE) sum += vector[i] as number;
  touched.sum = sum;
}
