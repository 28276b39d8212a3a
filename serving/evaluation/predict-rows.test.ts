import { expect, test } from "vitest";
import type { Bundle, BundleManifest } from "../../features/bundle.ts";
import { idBucket } from "../../features/bundle.ts";
import { schemaHash } from "../../features/registry.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { type TinyModel, tinyBundle, tinyOutputs } from "../inference/tiny-model.fixture.ts";
import { bundleMatrices, predictHeads } from "./predict-rows.ts";
import { createPredictor } from "./predictor.ts";

const FEATURES = ["context.hour_cos", "context.hour_sin"];
const N = 5;

/** Rows that hold more features than the model reads, in another order. */
const rows: TrainingRows = {
  n: N,
  featureNames: ["other", "context.hour_sin", "context.hour_cos"],
  features: Float32Array.from({ length: N * 3 }, (_, i) => Math.sin(i * 1.7)),
  idNames: ["topic", "author"],
  ids: Uint32Array.from({ length: N * 2 }, (_, i) => i * 7919),
  headNames: ["click", "report", "favorite"],
  labels: new Float32Array(N * 3),
  timeMs: new Float64Array(N),
  user: new Int32Array(N),
  userIds: [],
  postIds: [],
  position: new Float32Array(N),
  inNetwork: new Float32Array(N),
  weight: new Float32Array(N),
};

const BUCKETS = 4;
const tiny: TinyModel = {
  weights: [0.5, -1, 0.25, 2, 0.75, -0.5],
  bias: [0.1, -0.2, 0.3],
  table: Array.from({ length: BUCKETS * 3 }, (_, i) => 0.1 * i - 0.4),
};

function bundle(changes: Partial<BundleManifest> = {}): Bundle {
  const { model, manifest } = tinyBundle(tiny);
  return {
    model,
    manifest: {
      ...manifest,
      features: FEATURES,
      ids: [{ name: "author", buckets: BUCKETS }],
      schema_hash: schemaHash(FEATURES, ["author"]),
      ...changes,
    },
  };
}

test("the columns that a bundle reads are taken by name, in its order", () => {
  const { width, features, ids } = bundleMatrices(rows, bundle().manifest);
  expect(width).toBe(2);
  for (let row = 0; row < N; row++) {
    expect(features[row * 2]).toBe(rows.features[row * 3 + 2]);
    expect(features[row * 2 + 1]).toBe(rows.features[row * 3 + 1]);
    expect(ids[row]).toBe(rows.ids[row * 2 + 1]);
  }
});

test("predictions are the model's by hand, under the rows' heads; a head that it lacks is unknown", async () => {
  const predictor = await createPredictor(
    bundle({
      calibration: [
        { kind: "platt", a: 1, b: 0 },
        { kind: "platt", a: 1, b: 0 },
        { kind: "platt", a: 0.5, b: -1 },
      ],
      masked_heads: ["reply"],
    }),
    1,
  );
  try {
    const { features, ids } = bundleMatrices(rows, predictor.bundle.manifest);
    const buckets = Int32Array.from(ids, (hash) => idBucket(hash, BUCKETS));
    const logits = tinyOutputs(tiny, features, buckets, N);
    const predicted = await predictHeads(predictor, rows);
    const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));
    for (let row = 0; row < N; row++) {
      // The model's heads: favorite, reply, click. The rows': click, report, favorite.
      expect(predicted[row * 3]).toBeCloseTo(sigmoid(0.5 * (logits[row * 3 + 2] ?? 0) - 1), 6);
      expect(predicted[row * 3 + 1]).toBeNaN();
      expect(predicted[row * 3 + 2]).toBeCloseTo(sigmoid(logits[row * 3] ?? 0), 6);
    }
    const masked = await predictHeads(predictor, { ...rows, headNames: ["reply"] });
    expect([...masked]).toEqual(new Array(N).fill(0));
  } finally {
    await predictor.close();
  }
});

test("features and ids that the rows lack are refused by name", () => {
  const manifest = bundle({ ids: [{ name: "surface", buckets: 4 }] }).manifest;
  const poor = { ...rows, featureNames: ["other", "context.hour_sin", "unnamed"] };
  expect(() => bundleMatrices(poor, manifest)).toThrow(/context\.hour_cos, surface/);
});
