import { expect, test } from "vitest";
import { sealManifest } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { type PlantedHead, plantedRows, sliceRows } from "./planted-rows.ts";
import type { RankerOptions } from "./ranker-options.ts";
import { type TrainRankerRequest, trainRanker } from "./train-ranker.ts";
import type { TrainedModel } from "./trained-model.ts";
import { readState, type TrainingState } from "./training-state.ts";
import type { WarmStart } from "./warm-start.ts";

const SMALL = {
  blocks: 2,
  maskHidden: 8,
  blockOutput: 8,
  trunk: [8],
  tower: 4,
  idBuckets: 64,
  idWidth: 4,
};
const FIT: RankerOptions = { fit: { batchSize: 128, maxPasses: 2 }, heavy: SMALL };

const click = (slope: number): PlantedHead => ({
  name: "click",
  truth: (x) => -1 + slope * (x[0] as number),
});
const favorite: PlantedHead = { name: "favorite", truth: (x) => -1.5 + (x[1] as number) };
const ids = [{ name: "author", values: 40 }];

const old = plantedRows({ n: 6000, features: 4, heads: [click(1), favorite], ids, seed: 1 });
/** Later rows whose first feature works the other way round. */
const turned = plantedRows({
  n: 6000,
  features: 4,
  heads: [click(-1), favorite],
  ids,
  seed: 2,
  fromMs: 1e9,
});
const same = plantedRows({
  n: 6000,
  features: 4,
  heads: [click(1), favorite],
  ids,
  seed: 3,
  fromMs: 1e9,
});

function halves(rows: TrainingRows): Pick<TrainRankerRequest, "train" | "validation"> {
  const at = Math.round(rows.n * 0.7);
  return { train: sliceRows(rows, 0, at), validation: sliceRows(rows, at, rows.n) };
}

const trained = (
  kind: "heavy" | "light",
  rows: TrainingRows,
  more: Partial<TrainRankerRequest> = {},
): Promise<TrainedModel> =>
  trainRanker({
    kind,
    ...halves(rows),
    seed: 7,
    threads: 1,
    metricRounds: 0,
    options: kind === "heavy" ? FIT : { fit: { batchSize: 128 } },
    ...more,
  });

function sourceOf(model: TrainedModel): WarmStart {
  const manifest = model.manifest({ schemaHash: "planted", source: "planted" });
  return {
    manifest: sealManifest(manifest, model.parts.onnx),
    state: readState(Buffer.from(model.parts.trainingState)) as TrainingState,
  };
}

/** Mean log loss of the first head. */
async function loss(model: TrainedModel, rows: TrainingRows): Promise<number> {
  const predicted = await model.predict(rows);
  let sum = 0;
  for (let row = 0; row < rows.n; row++) {
    const p = predicted[row * 2] as number;
    sum -= Math.log(rows.labels[row * 2] === 1 ? p : 1 - p);
  }
  return sum / rows.n;
}

const base = {
  heavy: await trained("heavy", old),
  light: await trained("light", old),
};

test("settings of the heavy ranker do not keep a light one from going on", async () => {
  const warm = await trained("light", same, {
    warm: sourceOf(base.light),
    options: { fit: { batchSize: 128 }, heavy: { members: 1 } },
  });
  expect(warm.headNames).toEqual(base.light.headNames);
  await warm.close();
});

test.each(["heavy", "light"] as const)(
  "a %s ranker whose steps are too small to matter scores as its parent: a warm start begins at the parent's weights",
  async (kind) => {
    // A rate of 1e-12 leaves every float32 weight as it is, so nothing but the start decides.
    const options = { fit: { batchSize: 128, learningRate: 1e-12 } };
    const warm = await trained(kind, same, { warm: sourceOf(base[kind]), options });
    if (kind === "light") expect(warm.parts.onnx).toEqual(base.light.parts.onnx);
    expect(warm.parts.featureNames).toEqual(base[kind].parts.featureNames);
    const { validation } = halves(same);
    const [now, then] = [await warm.outputs(validation), await base[kind].outputs(validation)];
    expect(Math.max(...now.map((value, i) => Math.abs(value - (then[i] as number))))).toBeLessThan(
      1e-4,
    );
    await warm.close();
  },
);

test.each(["heavy", "light"] as const)(
  "when the world has turned, a warm-started %s ranker beats the frozen one",
  async (kind) => {
    const warm = await trained(kind, turned, { warm: sourceOf(base[kind]) });
    const { validation } = halves(turned);
    expect(await loss(warm, validation)).toBeLessThan((await loss(base[kind], validation)) - 0.03);
    await warm.close();
  },
);

test("a warm start keeps the champion's input constants, which new rows would change", async () => {
  const shifted = { ...same, features: same.features.map((value) => 3 * value + 1) };
  const before = sourceOf(base.light);
  const warm = await trained("light", shifted, { warm: before });
  const after = readState(Buffer.from(warm.parts.trainingState)) as TrainingState;
  expect(after.kept).toEqual(before.state.kept);
  const fresh = await trained("light", shifted);
  const other = readState(Buffer.from(fresh.parts.trainingState)) as TrainingState;
  expect(other.kept.statistics.mean).not.toEqual(before.state.kept.statistics.mean);
  await Promise.all([warm.close(), fresh.close()]);
});

test("the manifest says where it comes from, and rows and positives add up", async () => {
  const before = sourceOf(base.light);
  const warm = await trained("light", same, { warm: before });
  const manifest = warm.manifest({ schemaHash: "planted", source: "planted" });
  const { train } = halves(same);
  expect(manifest.data.rows).toBe(before.manifest.data.rows + train.n);
  expect(manifest.data.from_ms).toBe(before.manifest.data.from_ms);
  expect(manifest.data.to_ms).toBe(train.timeMs[train.n - 1]);
  expect(manifest.settings.warm_start).toEqual({
    from: before.manifest.version,
    from_ms: train.timeMs[0],
    rows: train.n,
    kept_heads: [],
  });
  await warm.close();
});

test("a head without new positives keeps its calibration and is not masked; one that never had any is masked", async () => {
  const silent = { ...same, labels: same.labels.map((label, i) => (i % 2 === 1 ? 0 : label)) };
  const before = sourceOf(base.light);
  const warm = await trained("light", silent, { warm: before });
  expect(warm.maskedHeads).toEqual([]);
  expect(warm.parts.settings.warm_start).toMatchObject({ kept_heads: ["favorite"] });
  expect(warm.parts.calibration[1]).toEqual(base.light.parts.calibration[1]);
  expect(warm.parts.calibration[0]).not.toEqual(base.light.parts.calibration[0]);
  const cold = await trained("light", silent);
  expect(cold.maskedHeads).toEqual(["favorite"]);
  await Promise.all([warm.close(), cold.close()]);
});

test.each<[string, (source: WarmStart) => Partial<TrainRankerRequest>, RegExp]>([
  [
    "other heads",
    (warm) => ({ warm, ...halves({ ...same, headNames: ["click", "reply"] }) }),
    /heads differ from those of the data: it alone has favorite; it lacks reply/,
  ],
  [
    "other features",
    (warm) => ({ warm, featureSubset: ["x0", "x1", "x2"] }),
    /features differ: it alone has x3/,
  ],
  [
    "another architecture",
    (warm) => ({ warm, options: { heavy: { blocks: 3 } } }),
    /architecture differs: blocks 2, asked 3/,
  ],
  ["another kind", (warm) => ({ warm, kind: "light" as const }), /a light ranker was asked for/],
  [
    "features that the rows lack",
    (warm) => ({ warm, ...halves({ ...same, featureNames: ["x0", "x1", "x2", "y"] }) }),
    /the rows lack the features x3/,
  ],
  [
    "a training state of another model",
    ({ manifest, state }) => ({
      warm: {
        manifest,
        state: {
          ...state,
          tensors: new Map(
            [...state.tensors].map(([name, data]) => [
              name,
              name === "wide" ? data.map((v) => v + 1) : data,
            ]),
          ),
        },
      },
    }),
    /its training state does not make its model/,
  ],
])("a warm start over %s is refused with the reason", async (_, change, reason) => {
  await expect(
    trained("heavy", same, { options: {}, ...change(sourceOf(base.heavy)) }),
  ).rejects.toThrow(reason);
});

test("a training state with one byte changed is not read", () => {
  const bytes = Buffer.from(base.light.parts.trainingState);
  expect(readState(bytes)).toBeDefined();
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  expect(readState(bytes)).toBeUndefined();
});

test("two warm starts with the same arguments are the same bytes", async () => {
  const warm = sourceOf(base.heavy);
  const models = [await trained("heavy", same, { warm }), await trained("heavy", same, { warm })];
  expect(models[0]?.parts.onnx).toEqual(models[1]?.parts.onnx);
  expect(models[0]?.parts.trainingState).toEqual(models[1]?.parts.trainingState);
  await Promise.all(models.map((model) => model.close()));
});
