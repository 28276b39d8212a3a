import { random } from "../../datasets/random.ts";
import { toOnnx } from "../graph/to-onnx.ts";
import { heavyNetwork } from "../trainers/build-network.ts";
import { headStatistics } from "../trainers/head-statistics.ts";
import { plantedRows } from "../trainers/planted-rows.ts";
import { HeavyOptions } from "../trainers/ranker-options.ts";
import { weightTensors } from "../trainers/snapshot.ts";
import type { SampleRows } from "./quantise-onnx.ts";

export interface HeavyModel {
  readonly model: Uint8Array;
  readonly rows: SampleRows;
}

/** A heavy ranker that was never trained, as it is written, and rows for it, some values missing. */
export function heavyModel(features = 140, n = 64): HeavyModel {
  const rows = plantedRows({
    n,
    features,
    heads: [
      { name: "click", truth: (x) => x[0] as number },
      { name: "dwell_seconds", kind: "continuous", truth: () => 8 },
    ],
    ids: [{ name: "author", values: 30 }],
    missing: 0.1,
    seed: 3,
  });
  const network = heavyNetwork(
    { train: rows, featureNames: rows.featureNames, heads: headStatistics(rows), seed: 5 },
    HeavyOptions.parse({ blocks: 2, maskHidden: 64, blockOutput: 128, trunk: [64], idBuckets: 32 }),
  );
  const draw = random(9, "id table");
  const table = network.embeddings?.optimiser.table as Float32Array;
  for (let i = 8; i < table.length; i++) table[i] = 0.1 * draw.normal();
  return {
    model: toOnnx({ outputs: { outputs: network.outputs }, weights: weightTensors(network) }),
    rows: { n, features: rows.features, ids: Int32Array.from(rows.ids, (id) => id % 32) },
  };
}
