import { random } from "../../datasets/random.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { ops } from "../graph/ops.ts";
import { input, parameter, scalar, type Value } from "../graph/value.ts";
import { IdEmbeddings } from "../models/id-embeddings.ts";
import {
  type InputStatistics,
  inputStatistics,
  inputTransform,
} from "../models/input-transform.ts";
import { logistic } from "../models/logistic.ts";
import { maskNet } from "../models/mask-net.ts";
import { headOutputs, multiHeadLoss } from "../models/multi-head-loss.ts";
import { ParameterSet } from "../models/parameter-set.ts";
import { type HeadStatistics, startingLogit } from "./head-statistics.ts";
import type { RankerNetwork } from "./ranker-network.ts";
import type { HeavyOptions } from "./ranker-options.ts";
import { featureColumns } from "./row-columns.ts";
import { sharedTowers } from "./shared-towers.ts";

/** Training rows that input statistics are taken from, evenly over time: means are steady long before this many. */
const STATISTICS_ROWS = 200_000;

interface NetworkRequest {
  readonly train: TrainingRows;
  readonly featureNames: readonly string[];
  readonly heads: readonly HeadStatistics[];
  readonly seed: number;
  /** Kept from a model that training goes on from, instead of being taken from `train`. */
  readonly kept?: KeptConstants | undefined;
  /** Share of each head's negatives that training feeds. Default: all. */
  readonly negatives?: Float32Array;
}

/** What is decided once for a model and all that are warm-started from it. */
export interface KeptConstants {
  readonly statistics: InputStatistics;
  /** Tower of each head of a heavy ranker. */
  readonly towers?: readonly number[];
}

interface Inputs {
  readonly features: Value;
  readonly transformed: Value;
  readonly biases: Float32Array;
  readonly statistics: InputStatistics;
}

function inputs({ train, featureNames, heads, kept }: NetworkRequest): Inputs {
  const columns = featureColumns(train, featureNames);
  const features = input("features", ["n", columns.length]);
  const statistics =
    kept?.statistics ??
    inputStatistics(
      train.features,
      train.n,
      train.featureNames.length,
      columns,
      Math.ceil(train.n / STATISTICS_ROWS),
    );
  return {
    features,
    statistics,
    transformed: inputTransform(features, statistics),
    biases: Float32Array.from(heads, startingLogit),
  };
}

/** Multi-head logistic regression over the named features. */
export function logisticNetwork(request: NetworkRequest): RankerNetwork {
  const { heads, featureNames } = request;
  const { transformed, biases, statistics } = inputs(request);
  const parameters = new ParameterSet();
  const kinds = heads.map(({ kind }) => kind);
  const raw = logistic(transformed, biases, parameters);
  return {
    featureNames,
    idNames: [],
    headNames: heads.map(({ name }) => name),
    kinds,
    statistics,
    parameters,
    loss: multiHeadLoss(raw, kinds, undefined, undefined, request.negatives),
    raw,
    outputs: headOutputs(raw, kinds),
  };
}

/** Parallel MaskNet over the named features and the rows' ids. */
export function heavyNetwork(request: NetworkRequest, options: HeavyOptions): RankerNetwork {
  const { heads, featureNames, seed, train, kept } = request;
  const { transformed, biases, statistics } = inputs(request);
  const parameters = new ParameterSet();
  const kinds = heads.map(({ kind }) => kind);
  const { idWidth, dropout } = options;
  const idNames = idWidth > 0 ? train.idNames : [];
  const embeddings =
    idNames.length > 0
      ? new IdEmbeddings(idNames.length, {
          buckets: options.idBuckets,
          width: idWidth,
          dropout: options.idDropout,
          learningRate: options.idLearningRate,
          l2: options.idL2,
        })
      : undefined;
  const embedded = embeddings?.trainingInput();
  const last = options.trunk.at(-1) ?? options.blocks * options.blockOutput;
  const mask = dropout > 0 ? input("dropout", ["n", last]) : undefined;
  const towers = kept?.towers ?? sharedTowers(heads);
  const draws = Array.from({ length: options.members }, (_, member) =>
    member === 0 ? random(seed, "weights") : random(seed, "weights", member),
  );
  /** The logits [n, heads] of each member. */
  const network = (ids: Value | undefined, dropped?: Value): Value[] =>
    draws.map((draw, member) =>
      maskNet(
        ids ? ops.concat([transformed, ids], 1) : transformed,
        options,
        { biases, towers },
        member === 0 ? parameters : parameters.under(`member_${member}/`),
        draw,
        dropped,
      ),
    );
  const training = network(embedded, mask);
  const labels = input("labels", ["n", heads.length]);
  const weights = input("label_weights", ["n", heads.length]);
  const served = embeddings?.inferenceInput(
    parameter("id_table", [embeddings.columns * options.idBuckets, idWidth]),
  );
  return {
    featureNames,
    idNames,
    headNames: heads.map(({ name }) => name),
    kinds,
    statistics,
    towers,
    parameters,
    // Each member learns as if it were alone.
    loss: sum(training.map((raw) => multiHeadLoss(raw, kinds, labels, weights, request.negatives))),
    raw: mean(network(embedded)),
    outputs: headOutputs(mean(network(served)), kinds),
    ...(embeddings && embedded && { embeddings, embedded }),
    ...(mask && { dropout: { width: last, rate: dropout } }),
  };
}

const sum = (values: readonly Value[]): Value => values.reduce((a, b) => ops.add(a, b));

const mean = (values: readonly Value[]): Value =>
  values.length === 1 ? sum(values) : ops.mul(sum(values), scalar(1 / values.length));
