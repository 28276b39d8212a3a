import { WORLD_HEADS } from "../../datasets/heads.ts";
import { auc } from "../../experiments/metrics/auc.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { onnxEngine } from "../engines/onnx-engine.ts";
import { gradients } from "../graph/gradients.ts";
import { countFlops } from "../graph/traverse.ts";
import { ADAM_DEFAULTS } from "../optimisers/adam.ts";
import { shuffledOrder } from "../trainers/batches.ts";
import { heavyNetwork } from "../trainers/build-network.ts";
import { headStatistics } from "../trainers/head-statistics.ts";
import { plantedRows, sliceRows } from "../trainers/planted-rows.ts";
import type { RankerNetwork } from "../trainers/ranker-network.ts";
import { HeavyOptions } from "../trainers/ranker-options.ts";
import { featureColumns } from "../trainers/row-columns.ts";
import { NetworkTrainer } from "../trainers/train-step.ts";
import { evenSample, rawOutputs } from "../trainers/validation-loss.ts";

export const SEED = 1;
export const BATCH = 1024;
export const LEARNING_RATE = 1e-3;
const [FEATURES, ROWS, VALIDATION_ROWS] = [180, 20_000, 10_000];
/** The head that both sides are judged on. */
const JUDGED = "click";

/** What is trained by `roost bench train`, with rows to judge it on. */
export interface HeavyCase {
  readonly train: TrainingRows;
  readonly validation: TrainingRows;
  readonly network: RankerNetwork;
  readonly options: HeavyOptions;
}

/** The heavy ranker with its default settings, fresh, over planted rows. The same case at every call. */
export function heavyCase(): HeavyCase {
  const rows = plantedRows({
    n: ROWS + VALIDATION_ROWS,
    features: FEATURES,
    heads: WORLD_HEADS.map((name) =>
      name === "dwell_seconds"
        ? { name, kind: "continuous" as const, truth: () => 8 }
        : { name, truth: (x) => (x[0] as number) - 3 },
    ),
    seed: SEED,
    ids: ["author", "topic", "language", "surface", "media"].map((name) => ({
      name,
      values: 5000,
    })),
  });
  const train = sliceRows(rows, 0, ROWS);
  const options = HeavyOptions.parse({});
  const network = heavyNetwork(
    { train, featureNames: rows.featureNames, heads: headStatistics(train), seed: SEED },
    options,
  );
  return { train, validation: sliceRows(rows, ROWS, rows.n), network, options };
}

export const headWeights = ({ train }: HeavyCase): Float32Array =>
  new Float32Array(train.headNames.length).fill(1);

/** The rows of each step: whole batches of one shuffled order, over and over. */
export function batchStart(train: TrainingRows, step: number): number {
  return (step % Math.floor(train.n / BATCH)) * BATCH;
}
export const batchOrder = (train: TrainingRows): Int32Array => shuffledOrder(train.n, SEED, 0);

export interface Measured {
  readonly threads: number;
  readonly rows_per_s: number;
  readonly gflops: number;
  readonly parameters: number;
  readonly first_loss: number;
  readonly last_loss: number;
  /** Area under the curve on the validation rows, where it was asked for. */
  readonly auc?: number;
}

/** Trains for `warmUp` + `steps` steps, of which the latter are timed. */
export async function measureOurs(
  threads: number,
  steps: number,
  warmUp: number,
  judged: boolean,
): Promise<Measured> {
  const bench = heavyCase();
  const { train, validation, network } = bench;
  const engine = onnxEngine(threads);
  const trainer = await NetworkTrainer.create({
    network,
    engine,
    train,
    headWeights: headWeights(bench),
    size: BATCH,
    seed: SEED,
    adam: ADAM_DEFAULTS,
  });
  const order = batchOrder(train);
  const losses: number[] = [];
  let started = 0n;
  for (let step = 0; step < warmUp + steps; step++) {
    if (step === warmUp) started = process.hrtime.bigint();
    losses.push(await trainer.step(order, batchStart(train, step), step, LEARNING_RATE, 1));
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  let found: number | undefined;
  if (judged) {
    const forward = await engine.forward([network.raw]);
    const raw = await rawOutputs(
      forward,
      trainer.parameters,
      validation,
      evenSample(validation.n, validation.n),
      featureColumns(validation, network.featureNames),
      network.kinds.length,
      network.embeddings,
    );
    found = judge(raw, validation);
    await forward.release();
  }
  await trainer.release();
  const wrt = [...network.parameters.values, ...(network.embedded ? [network.embedded] : [])];
  const flops = countFlops([network.loss, ...gradients(network.loss, wrt)], BATCH);
  return {
    threads,
    rows_per_s: (steps * BATCH) / seconds,
    gflops: (steps * flops) / seconds / 1e9,
    parameters: network.parameters.count,
    first_loss: losses[0] as number,
    last_loss: losses.at(-1) as number,
    ...(found !== undefined && { auc: found }),
  };
}

/** AUC of the judged head from raw outputs [n, heads]. */
export function judge(raw: Float32Array, rows: TrainingRows): number {
  const heads = rows.headNames.length;
  const h = rows.headNames.indexOf(JUDGED);
  const column = (values: Float32Array): Float32Array =>
    Float32Array.from({ length: rows.n }, (_, row) => values[row * heads + h] as number);
  return auc({ scores: column(raw), labels: column(rows.labels) });
}
