import type { Value } from "../graph/value.ts";
import type { IdEmbeddings } from "../models/id-embeddings.ts";
import type { InputStatistics } from "../models/input-transform.ts";
import type { HeadKind } from "../models/multi-head-loss.ts";
import type { ParameterSet } from "../models/parameter-set.ts";

/** An untrained ranker: its graphs, its weights and what it reads. `fit` trains it in place. */
export interface RankerNetwork {
  /** Features it reads, in order. */
  readonly featureNames: readonly string[];
  readonly idNames: readonly string[];
  readonly headNames: readonly string[];
  readonly kinds: readonly HeadKind[];
  /** Constants of its input transform. */
  readonly statistics: InputStatistics;
  /** Tower of each head; absent where there are none. */
  readonly towers?: readonly number[];
  readonly parameters: ParameterSet;
  readonly embeddings?: IdEmbeddings;
  readonly dropout?: { readonly width: number; readonly rate: number };
  /** Scalar loss over `features`, `labels`, `label_weights` and, where used, `embedded` and `dropout`. */
  readonly loss: Value;
  /** The `embedded` input of the loss, whose gradient the tables need. */
  readonly embedded?: Value;
  /** Raw outputs [n, heads] without dropout, over `features` and `embedded`. */
  readonly raw: Value;
  /** The bundle's `outputs` [n, heads] over `features` and `ids`; its table is the parameter `id_table`. */
  readonly outputs: Value;
}
