import { mkdtemp, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { TrainingRows } from "../../features/rows.ts";
import { onnxEngine } from "../engines/onnx-engine.ts";
import { heavyNetwork, logisticNetwork } from "./build-network.ts";
import { type FitProgress, type FitRequest, fitNetwork } from "./fit.ts";
import { FitOptions } from "./fit-options.ts";
import { headStatistics } from "./head-statistics.ts";
import { type PlantedHead, plantedRows, sliceRows } from "./planted-rows.ts";
import type { RankerNetwork } from "./ranker-network.ts";
import { HeavyOptions } from "./ranker-options.ts";
import { weightTensors } from "./snapshot.ts";

const click: PlantedHead = { name: "click", truth: (x) => (x[0] as number) - 1 };
const favorite: PlantedHead = { name: "favorite", truth: (x) => (x[1] as number) - 2 };

function tiny(rows: TrainingRows, dropout = 0.2): RankerNetwork {
  const heads = headStatistics(rows);
  const options = HeavyOptions.parse({
    blocks: 2,
    maskHidden: 8,
    blockOutput: 8,
    trunk: [8],
    tower: 4,
    idBuckets: 32,
    idWidth: 2,
    dropout,
  });
  return heavyNetwork({ train: rows, featureNames: rows.featureNames, heads, seed: 1 }, options);
}

function request(rows: TrainingRows, network: RankerNetwork, fit: object = {}): FitRequest {
  const at = Math.round(rows.n * 0.8);
  return {
    network,
    engine: onnxEngine(1),
    train: sliceRows(rows, 0, at),
    validation: sliceRows(rows, at, rows.n),
    headWeights: new Float32Array(rows.headNames.length).fill(1),
    seed: 5,
    options: FitOptions.parse({ batchSize: 64, maxPasses: 2, rampSteps: 5, ...fit }),
  };
}

const bytes = (network: RankerNetwork): string =>
  [...weightTensors(network)]
    .map(([name, data]) => `${name}:${Buffer.from(data.buffer).toString("base64")}`)
    .join("\n");
const ids = [{ name: "author", values: 12 }];

test("training that was interrupted twice and resumed gives the weights of an uninterrupted run to the bit", async () => {
  const rows = plantedRows({ n: 3000, features: 4, heads: [click, favorite], seed: 1, ids });
  const whole = tiny(rows);
  const uninterrupted = await fitNetwork(request(rows, whole));

  const checkpoint = join(await mkdtemp(join(tmpdir(), "fit-")), "run.checkpoint");
  let network = tiny(rows);
  for (const stopAfter of [1, 3]) {
    const controller = new AbortController();
    let reports = 0;
    network = tiny(rows);
    const onProgress = (): void => {
      if (++reports === stopAfter) controller.abort(new Error("enough for today"));
    };
    await expect(
      fitNetwork({
        ...request(rows, network),
        checkpoint,
        onProgress,
        signal: controller.signal,
      }),
    ).rejects.toThrow("enough for today");
  }
  network = tiny(rows);
  const resumed = await fitNetwork({ ...request(rows, network), checkpoint });
  expect(bytes(network) === bytes(whole)).toBe(true);
  expect(resumed).toEqual(uninterrupted);
  await expect(stat(checkpoint)).rejects.toThrow(/ENOENT/);
});

test("a checkpoint of other data or a damaged one is refused, not continued", async () => {
  const rows = plantedRows({ n: 1000, features: 4, heads: [click], seed: 1, ids });
  const checkpoint = join(await mkdtemp(join(tmpdir(), "fit-")), "run.checkpoint");
  const controller = new AbortController();
  controller.abort();
  const stopped = { ...request(rows, tiny(rows)), checkpoint, signal: controller.signal };
  await expect(fitNetwork(stopped)).rejects.toThrow();
  const others = plantedRows({ n: 1000, features: 4, heads: [click], seed: 2, ids });
  await expect(fitNetwork({ ...request(others, tiny(others)), checkpoint })).rejects.toThrow(
    /other data, settings or seed/,
  );
  const content = await readFile(checkpoint);
  content[content.length >> 1]! ^= 1;
  await writeFile(checkpoint, content);
  await expect(fitNetwork({ ...request(rows, tiny(rows)), checkpoint })).rejects.toThrow(/damaged/);
});

test("early stopping ends when nothing improves and puts the best weights back", async () => {
  // Pure noise: whatever is learned hurts later rows, so the best step comes early.
  const noise: PlantedHead = { name: "click", truth: () => 0 };
  const rows = plantedRows({ n: 1500, features: 10, heads: [noise], seed: 3 });
  const network = tiny(rows, 0);
  const seen: { progress: FitProgress; weights: string }[] = [];
  const result = await fitNetwork({
    ...request(rows, network, { maxPasses: 40, learningRate: 5e-3, patiencePasses: 1.5 }),
    onProgress: (progress) => seen.push({ progress, weights: bytes(network) }),
  });
  const best = seen.reduce((a, b) =>
    b.progress.validationLoss < a.progress.validationLoss ? b : a,
  );
  expect(result.bestStep).toBe(best.progress.step);
  expect(result.bestValidationLoss).toBe(best.progress.validationLoss);
  expect(bytes(network) === best.weights).toBe(true);
  expect(bytes(network) === seen.at(-1)?.weights).toBe(false);
  const stepsPerPass = Math.floor(1200 / 64);
  expect(result.steps).toBeLessThan(40 * stepsPerPass);
  expect(result.steps - result.bestStep).toBeGreaterThanOrEqual(Math.floor(1.5 * stepsPerPass));
});

test("a loss that is not finite ends training with a remedy instead of publishing broken weights", async () => {
  const rows = plantedRows({ n: 500, features: 3, heads: [click], seed: 9 });
  const broken = { ...rows, weight: new Float32Array(500).fill(Number.NaN) };
  await expect(fitNetwork(request(broken, tiny(rows)))).rejects.toThrow(/diverged.*learningRate/);
});

test("without gradients a run shrinks matrices by e^−totalDecay, however long it is, and leaves biases alone", async () => {
  const rows = plantedRows({ n: 2000, features: 3, heads: [click], seed: 10 });
  for (const maxPasses of [1, 4]) {
    const network = tiny(rows, 0);
    const before = weightTensors(network).get("trunk_0")?.slice() as Float32Array;
    const scale = weightTensors(network).get("block_scale_0")?.slice();
    await fitNetwork({
      ...request(rows, network, { maxPasses, totalDecay: 0.5, patiencePasses: 9 }),
      headWeights: new Float32Array(1),
      // Without a label to judge by, the last weights are kept.
      validation: { ...sliceRows(rows, 1600, 2000), labels: new Float32Array(400) },
    });
    const after = weightTensors(network).get("trunk_0") as Float32Array;
    before.forEach((value, i) => {
      expect(Math.abs((after[i] as number) / value - Math.exp(-0.5))).toBeLessThan(0.01);
    });
    expect(weightTensors(network).get("block_scale_0")).toEqual(scale);
  }
});

test("a masked head gets no gradient: its tower and its bias stay as they were", async () => {
  const never: PlantedHead = { name: "favorite", truth: () => 0, masked: 1 };
  const rows = plantedRows({ n: 1000, features: 3, heads: [click, never], seed: 4 });
  const network = logisticNetwork({
    train: rows,
    featureNames: rows.featureNames,
    heads: headStatistics(rows),
    seed: 1,
  });
  const before = weightTensors(network).get("bias")?.slice() as Float32Array;
  await fitNetwork(request(rows, network, { totalDecay: 0 }));
  const weights = network.parameters.weights.get("weights") as Float32Array; // [features, 2]
  const bias = network.parameters.weights.get("bias") as Float32Array;
  for (let i = 0; i < weights.length; i += 2) {
    expect(weights[i]).not.toBe(0);
    expect(weights[i + 1]).toBe(0);
  }
  expect(bias[1]).toBe(before[1]);
  expect(bias[0]).not.toBe(before[0]);
});

test("a row of weight 3 counts as three rows of weight 1", async () => {
  const rows = plantedRows({ n: 500, features: 3, heads: [click], seed: 6 });
  const network = logisticNetwork({
    train: rows,
    featureNames: rows.featureNames,
    heads: headStatistics(rows),
    seed: 1,
  });
  const step = await onnxEngine(1).trainingStep(network.loss, network.parameters.values);
  const gradient = async (features: number[], labels: number[], weights: number[]) => {
    const n = labels.length;
    const feeds = Object.fromEntries(
      network.parameters.values.map(({ source, shape }) => {
        const { name } = source as { name: string };
        const data = network.parameters.weights.get(name) as Float32Array;
        return [name, { data, shape: shape as number[] }];
      }),
    );
    const { gradients } = await step.run({
      ...feeds,
      features: { data: Float32Array.from(features), shape: [n, 3] },
      labels: { data: Float32Array.from(labels), shape: [n, 1] },
      label_weights: { data: Float32Array.from(weights), shape: [n, 1] },
    });
    return gradients.flatMap((data) => [...data]);
  };
  const [a, b] = [
    [1, -0.5, 2],
    [0.3, 0.1, -1],
  ] as const;
  const weighted = await gradient([...a, ...b], [1, 0], [3, 1]);
  const repeated = await gradient([...a, ...a, ...a, ...b], [1, 1, 1, 0], [1, 1, 1, 1]);
  weighted.forEach((value, i) => {
    expect(value).toBeCloseTo(repeated[i] as number, 5);
  });
  await step.release();
});

test("training and inference graphs give the same outputs for the same weights, to 1e-6", async () => {
  const rows = plantedRows({
    n: 800,
    features: 5,
    heads: [click, favorite],
    seed: 8,
    ids,
    missing: 0.1,
  });
  const network = tiny(rows, 0);
  await fitNetwork(request(rows, network));
  const { toOnnx } = await import("../graph/to-onnx.ts");
  const { onnxSession } = await import("../graph/run-onnx.ts");
  const weights = weightTensors(network);
  const served = await onnxSession(toOnnx({ outputs: { outputs: network.outputs }, weights }), 1);
  const trained = await onnxEngine(1).forward([network.raw]);
  const embeddings = network.embeddings!;
  const tableRows = new Int32Array(rows.n);
  for (let row = 0; row < rows.n; row++) embeddings.rows(rows.ids, row, tableRows, row);
  const embedded = new Float32Array(rows.n * 2);
  embeddings.gather(tableRows, embedded);
  const features = { data: rows.features, shape: [rows.n, 5] };
  const feeds = Object.fromEntries(
    network.parameters.values.map(({ source, shape }) => {
      const { name } = source as { name: string };
      return [name, { data: weights.get(name)!, shape: shape as number[] }];
    }),
  );
  const [raw] = await trained.run({
    ...feeds,
    features,
    embedded: { data: embedded, shape: [rows.n, 2] },
  });
  const buckets = Int32Array.from(tableRows);
  const { outputs } = await served.run({ features, ids: { data: buckets, shape: [rows.n, 1] } });
  expect(outputs?.length).toBe(rows.n * 2);
  outputs?.forEach((value, i) => {
    expect(Math.abs(value - (raw?.[i] as number))).toBeLessThan(
      1e-6 * Math.max(1, Math.abs(value)),
    );
  });
  await served.release();
  await trained.release();
});
