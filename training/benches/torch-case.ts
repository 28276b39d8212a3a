import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AMOUNT_CAP, AMOUNT_UNIT } from "../models/multi-head-loss.ts";
import { ADAM_DEFAULTS } from "../optimisers/adam.ts";
import { Batch } from "../trainers/batches.ts";
import { featureColumns } from "../trainers/row-columns.ts";
import {
  BATCH,
  batchOrder,
  batchStart,
  type HeavyCase,
  headWeights,
  LEARNING_RATE,
  SEED,
} from "./heavy-case.ts";

/**
 * Writes everything that decides a training of `steps` steps into `dir`, for training/benches/train_torch.py: rows, labels
 * and weights as the loss reads them, the rows and ids of each step (with the same ids hidden), and the first weights.
 */
export async function writeTorchCase(dir: string, bench: HeavyCase, steps: number): Promise<void> {
  const { train, validation, network, options } = bench;
  const { embeddings } = network;
  const [heads, columns] = [network.kinds.length, embeddings?.columns ?? 0];
  await mkdir(dir, { recursive: true });
  const write = (name: string, data: Float32Array | Int32Array): Promise<void> =>
    writeFile(join(dir, name), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));

  const labels = new Float32Array(train.n * heads);
  const weights = new Float32Array(train.n * heads);
  const order = new Int32Array(steps * BATCH);
  const idRows = new Int32Array(steps * BATCH * columns);
  const batch = new Batch(
    BATCH,
    {
      columns: featureColumns(train, network.featureNames),
      kinds: network.kinds,
      headWeights: headWeights(bench),
      embeddings,
    },
    SEED,
  );
  // Views: filled anew with every batch.
  const fed = {
    labels: batch.feeds.labels?.data as Float32Array,
    weights: batch.feeds.label_weights?.data as Float32Array,
  };
  const shuffled = batchOrder(train);
  for (let step = 0; step < steps; step++) {
    const from = batchStart(train, step);
    batch.fill(train, shuffled, from, SEED, step);
    order.set(shuffled.subarray(from, from + BATCH), step * BATCH);
    idRows.set(batch.idRows, step * BATCH * columns);
    for (let i = 0; i < BATCH; i++) {
      const at = (shuffled[from + i] as number) * heads;
      labels.set(fed.labels.subarray(i * heads, (i + 1) * heads), at);
      weights.set(fed.weights.subarray(i * heads, (i + 1) * heads), at);
    }
  }
  const known = new Int32Array(validation.n * columns);
  for (let row = 0; row < validation.n; row++)
    embeddings?.rows(validation.ids, row * columns, known, row * columns);
  await write("features.f32", train.features);
  await write("labels.f32", labels);
  await write("weights.f32", weights);
  await write("order.i32", order);
  await write("id_rows.i32", idRows);
  await write("validation.f32", validation.features);
  await write("validation_ids.i32", known);
  await write("mean.f32", network.statistics.mean);
  await write("deviation.f32", network.statistics.deviation);
  for (const [name, data] of network.parameters.weights) await write(`${name}.f32`, data);
  const towerOf = network.towers as readonly number[];
  await writeFile(
    join(dir, "case.json"),
    JSON.stringify({
      rows: train.n,
      validation_rows: validation.n,
      features: network.featureNames.length,
      indicators: network.statistics.indicators,
      batch: BATCH,
      steps,
      blocks: options.blocks,
      trunk: options.trunk.length,
      towers: 1 + Math.max(...towerOf),
      tower_of: towerOf,
      continuous: network.kinds.map((kind) => kind === "continuous"),
      amount_cap: AMOUNT_CAP,
      amount_unit: AMOUNT_UNIT,
      id_columns: columns,
      id_width: embeddings?.options.width ?? 0,
      id_rows: columns * (embeddings?.options.buckets ?? 0),
      id_learning_rate: embeddings?.options.learningRate ?? 0,
      id_l2: embeddings?.options.l2 ?? 0,
      learning_rate: LEARNING_RATE,
      betas: [ADAM_DEFAULTS.beta1, ADAM_DEFAULTS.beta2],
      epsilon: ADAM_DEFAULTS.epsilon,
      parameters: network.parameters.list.map(({ name, shape }) => ({
        name,
        shape,
        file: `${name}.f32`,
      })),
    }),
  );
}
