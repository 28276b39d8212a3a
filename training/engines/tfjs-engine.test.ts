import { expect, test } from "vitest";
import { heavyNetwork } from "../trainers/build-network.ts";
import { fitNetwork } from "../trainers/fit.ts";
import { FitOptions } from "../trainers/fit-options.ts";
import { headStatistics } from "../trainers/head-statistics.ts";
import { plantedRows, sliceRows } from "../trainers/planted-rows.ts";
import { HeavyOptions } from "../trainers/ranker-options.ts";
import { weightTensors } from "../trainers/snapshot.ts";
import { trainRanker } from "../trainers/train-ranker.ts";
import { chooseEngine } from "./choose-engine.ts";

const rows = plantedRows({
  n: 600,
  features: 4,
  heads: [
    { name: "click", truth: (x) => x[0] as number },
    { name: "dwell_seconds", kind: "continuous", truth: (x) => 5 + Math.abs(x[1] as number) },
  ],
  seed: 1,
  ids: [{ name: "author", values: 9 }],
  missing: 0.1,
});

test("both engines train the same network to the same weights within float32 rounding", async () => {
  const train = async (name: "onnx" | "tfjs") => {
    const options = HeavyOptions.parse({
      blocks: 2,
      maskHidden: 6,
      blockOutput: 6,
      trunk: [8],
      tower: 4,
      idBuckets: 16,
      idWidth: 2,
    });
    const heads = headStatistics(rows);
    const network = heavyNetwork(
      { train: rows, featureNames: rows.featureNames, heads, seed: 1 },
      options,
    );
    const start = new Map([...weightTensors(network)].map(([key, data]) => [key, data.slice()]));
    const result = await fitNetwork({
      network,
      engine: await chooseEngine(name, 1),
      train: sliceRows(rows, 0, 480),
      validation: sliceRows(rows, 480, 600),
      headWeights: Float32Array.of(1, 1),
      seed: 2,
      // A larger epsilon keeps Adam from turning rounding of near-zero gradients into full steps.
      options: FitOptions.parse({ batchSize: 32, maxPasses: 1, epsilon: 1e-4 }),
    });
    return { result, start, weights: weightTensors(network) };
  };
  const [onnx, tfjs] = [await train("onnx"), await train("tfjs")];
  let [moved, apart] = [0, 0];
  for (const [name, data] of onnx.weights) {
    data.forEach((value, i) => {
      moved = Math.max(moved, Math.abs(value - (onnx.start.get(name)?.[i] as number)));
      apart = Math.max(apart, Math.abs(value - (tfjs.weights.get(name)?.[i] as number)));
    });
  }
  expect(moved).toBeGreaterThan(3e-3);
  expect(apart).toBeLessThan(3e-5);
  expect(tfjs.result.bestValidationLoss).toBeCloseTo(onnx.result.bestValidationLoss, 5);
});

test("a ranker trained by TensorFlow.js is published like any other and says so", async () => {
  const model = await trainRanker({
    kind: "light",
    train: sliceRows(rows, 0, 480),
    validation: sliceRows(rows, 480, 600),
    seed: 1,
    threads: 1,
    metricRounds: 0,
    options: { engine: "tfjs", fit: { batchSize: 64, maxPasses: 1 } },
  });
  expect(model.parts.settings.engine).toBe("tfjs");
  expect((await model.predict(rows)).every(Number.isFinite)).toBe(true);
  await model.close();
});

test("tfjs-node is taken where it is installed, and without either package the remedy is named", async () => {
  const asked: string[] = [];
  const absent = (specifier: string): Promise<never> => {
    asked.push(specifier);
    return Promise.reject(Object.assign(new Error("none"), { code: "ERR_MODULE_NOT_FOUND" }));
  };
  await expect(chooseEngine("tfjs", 1, absent)).rejects.toThrow(/npm install/);
  expect(asked).toEqual(["@tensorflow/tfjs-node", "@tensorflow/tfjs"]);
  const broken = (): Promise<never> => Promise.reject(new Error("libtensorflow.so is missing"));
  await expect(chooseEngine("tfjs", 1, broken)).rejects.toThrow(/libtensorflow/);
});
