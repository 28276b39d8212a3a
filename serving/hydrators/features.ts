import type { StoredPost } from "../../candidates/post-store.ts";
import { idBucket } from "../../features/bundle.ts";
import type { StateView } from "../../features/entities.ts";
import type { KeptRows } from "../../features/kept-rows.ts";
import { FeatureReader, ROWS_AT_ONCE } from "../../features/reader.ts";
import type { FeatureLoad } from "../../features/redis/redis-reads.ts";
import type { IdColumn } from "../../features/registry.ts";
import type { ServedModel } from "../inference/inference.ts";
import type { CandidateTable } from "../pipeline/candidate-table.ts";
import {
  featureMatrix,
  type HomeQuery,
  idMatrix,
  LOG_POSITION,
  type ModelStage,
} from "../pipeline/home-query.ts";
import type { LoadedState, Reads } from "../pipeline/request-memo.ts";
import type { Hydrated, Hydrator } from "../pipeline/stages.ts";
import { postInHand } from "./post-core.ts";

/** Where features come from; `position` = the last log record that they reflect, where there is a log. */
export interface FeatureSource extends StateView {
  readonly position?: number;
  /** Fetches what the features of these candidates look at, where state is not in this process. */
  load?(candidates: FeatureLoad): Promise<LoadedState>;
  /** Longest wait for what `load` gives, by default 250 ms: what is not there by then is missing. */
  readonly loadTimeoutMs?: number;
}

const LOAD_TIMEOUT_MS = 250;

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
    timeoutMs: state.load === undefined ? 0 : (state.loadTimeoutMs ?? LOAD_TIMEOUT_MS),
    onFailure: "open",
    enabled: (query) => query.models[stage] !== undefined,
    hydrate: (query, table, signal) => {
      const { position = 0 } = state;
      if (state.load === undefined)
        return rows(query, table, signal, query.memo.reads(state, state.position), state.position);
      const { viewerId: userId, nowMs, surface } = query;
      const load = {
        userId,
        nowMs,
        ...(surface !== undefined && { surface }),
        postIds: table.postIds,
        ...(table.inHand && { inHand: table.inHand as (StoredPost | undefined)[] }),
        authorIds: table.authorIds,
      };
      return query.memo
        .loaded(() => (state.load as NonNullable<typeof state.load>)(load), table.origin, position)
        .then((reads) => ({
          ...rows(query, table, signal, reads, reads.position),
          ...(reads.degraded && { failed: new Uint8Array(table.n).fill(1) }),
        }));
    },
  };

  function rows(
    query: HomeQuery,
    table: CandidateTable,
    signal: AbortSignal,
    { view, shared, posts, kept }: Reads,
    position: number | undefined,
  ): Hydrated {
    const model = query.models[stage] as ServedModel;
    const reader = readerFor(model);
    const ids = model.manifest.ids;
    const features = new Float32Array(table.n * reader.features.length);
    const hashes = new Uint32Array(table.n * ids.length);
    const buckets = new Int32Array(hashes.length);
    const { viewerId: userId, nowMs, surface } = query;
    reader.begin(view, { userId, nowMs, ...(surface !== undefined && { surface }) }, shared);
    const vectors = new Array<Float64Array | undefined>(table.n);
    const keptOf = kept.length > 0 ? new Array<KeptRows | undefined>(table.n) : undefined;
    for (let from = 0; from < table.n; from += ROWS_AT_ONCE) {
      const to = Math.min(table.n, from + ROWS_AT_ONCE);
      for (let row = from; row < to; row++) {
        const origin = table.origin[row] as number;
        let post = posts[origin];
        if (post === undefined) {
          post = postVector(view, table, row) ?? null;
          posts[origin] = post;
        }
        vectors[row] = post ?? undefined;
        if (keptOf !== undefined) keptOf[row] = kept[origin];
      }
      reader.rows(vectors, table.authorIds, features, hashes, from, to, keptOf);
      for (let k = 0; k < ids.length; k++) {
        const size = (ids[k] as { buckets: number }).buckets;
        for (let i = from * ids.length + k; i < to * ids.length; i += ids.length)
          buckets[i] = idBucket(hashes[i] as number, size);
      }
      model.inference.offer?.(features, buckets, table.n, to, signal);
    }
    return {
      ...(stage === "heavy" &&
        position !== undefined && {
          columns: { [LOG_POSITION]: new Float64Array(table.n).fill(position) },
        }),
      matrices: {
        [featureMatrix(stage)]: { width: reader.features.length, values: features },
        ...(ids.length > 0 && { [idMatrix(stage)]: { width: ids.length, values: buckets } }),
      },
    };
  }
}

function postVector(view: StateView, table: CandidateTable, row: number): Float64Array | undefined {
  const postId = table.postIds[row] as string;
  const post = postInHand(table, row);
  if (post === undefined || view.cell === undefined) return view.get("post", postId);
  const cell = view.cell("post", postId, post.vectorCell);
  post.vectorCell = cell;
  return cell.vector;
}
