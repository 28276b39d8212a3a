import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { RoostError } from "../../errors.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { toOnnx } from "../graph/to-onnx.ts";
import { warmSource } from "../registry/warm-source.ts";
import { heavyNetwork } from "../trainers/build-network.ts";
import { weightTensors } from "../trainers/snapshot.ts";
import { restoreWarm, warmHeavyOptions } from "../trainers/warm-start.ts";

/*
 * Writes the graph of a published heavy ranker as it was before publishing optimised it, from its training state: what
 * `roost bench inference` compares the published one with.
 */
const { values: flags } = parseArgs({
  options: {
    models: { type: "string" },
    version: { type: "string", default: "champion" },
    out: { type: "string" },
  },
});
if (flags.models === undefined || flags.out === undefined)
  throw new RoostError("BAD_ARGUMENT", "--models and --out say where to read and to write");

const warm = await warmSource(flags.models, "heavy", flags.version);
const { features, ids, heads } = warm.manifest;
const nothing: TrainingRows = {
  n: 0,
  featureNames: features,
  features: new Float32Array(0),
  idNames: ids.map(({ name }) => name),
  ids: new Uint32Array(0),
  headNames: heads.map(({ name }) => name),
  labels: new Float32Array(0),
  timeMs: new Float64Array(0),
  user: new Int32Array(0),
  userIds: [],
  postIds: [],
  position: new Float32Array(0),
  inNetwork: new Float32Array(0),
  weight: new Float32Array(0),
};
const network = heavyNetwork(
  {
    train: nothing,
    featureNames: features,
    // Only their number and kinds matter: what they begin with is replaced by the weights.
    heads: heads.map((head) => ({ ...head, observed: 1, positives: 1, mean: 0.5 })),
    seed: warm.manifest.seed,
    kept: warm.state.kept,
  },
  warmHeavyOptions(warm),
);
restoreWarm(network, warm);
await writeFile(
  flags.out,
  toOnnx({ outputs: { outputs: network.outputs }, weights: weightTensors(network) }),
);
