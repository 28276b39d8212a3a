import { expect, test } from "vitest";
import type { BundleManifest } from "../../features/bundle.ts";
import type { ServedModel } from "../inference/inference.ts";
import type { CandidateTable } from "../pipeline/candidate-table.ts";
import { type PostRow, queryOf, tableOf } from "../pipeline/home.fixture.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Scored } from "../pipeline/stages.ts";
import { effectiveWeights, type Overrides } from "../weights/weights.ts";
import { modelScorer } from "./model-scorer.ts";

type Heads = Record<string, BundleManifest["calibration"][number]>;
const PLATT = { kind: "platt", a: 1, b: 0 } as const;

const manifestOf = (heads: Heads, masked: string[] = []): BundleManifest => ({
  format: 1,
  kind: "heavy",
  version: "0".repeat(16),
  features: ["x"],
  schema_hash: "test",
  ids: [],
  heads: Object.keys(heads).map((name) => ({ name, kind: "binary" })),
  calibration: Object.values(heads),
  masked_heads: masked,
  metrics: {},
  data: { source: "test", from_ms: 0, to_ms: 0, rows: 0, positives: {} },
  seed: 1,
  parameters: 1,
  settings: {},
  checksum: "0".repeat(64),
});

/** A model whose every output is the row's one feature. */
const echo = (heads: Heads, masked?: string[]): ServedModel => {
  const manifest = manifestOf(heads, masked);
  return {
    manifest,
    inference: {
      run: async (features) =>
        Float32Array.from(features, (x) => x).reduce(
          (all, x, row) =>
            all.fill(x, row * manifest.heads.length, (row + 1) * manifest.heads.length),
          new Float32Array(features.length * manifest.heads.length),
        ),
      close: async () => {},
    },
  };
};

const withFeatures = (posts: readonly PostRow[], x: readonly number[]): CandidateTable => ({
  ...tableOf(posts),
  matrices: new Map([["heavy_features", { width: 1, values: Float32Array.from(x) }]]),
});
const one = [{ post_id: "1" }];

const columnsOf = async (
  model: ServedModel,
  table: CandidateTable,
  query: HomeQuery = queryOf(),
  weightedHeadsOnly = false,
): Promise<Record<string, number[]>> => {
  const scorer = modelScorer("heavy", { timeoutMs: 100, weightedHeadsOnly });
  const asked = { ...query, models: { heavy: model } };
  const { columns = {} } = (await scorer.score(
    asked,
    table,
    new AbortController().signal,
  )) as Scored;
  return Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, [...column]]));
};
const weighted = (overrides: Overrides) =>
  queryOf({
    weights: effectiveWeights(
      { name: "t", description: "", weights: {}, params: {}, checksum: "" },
      overrides,
    ),
  });

test("each head has a column of calibrated probabilities", async () => {
  const model = echo({
    favorite: PLATT,
    reply: { kind: "platt", a: 2, b: -1 },
    click: { kind: "isotonic", x: [-1, 1], y: [0.1, 0.3] },
    dwell_seconds: { kind: "linear", a: 3, b: 1 },
  });
  const columns = await columnsOf(model, withFeatures([...one, { post_id: "2" }], [0, 0.5]));
  expect(columns).toEqual({
    heavy_p_favorite: [0.5, expect.closeTo(1 / (1 + Math.exp(-0.5)), 12)],
    heavy_p_reply: [expect.closeTo(1 / (1 + Math.E), 12), 0.5],
    heavy_p_click: [expect.closeTo(0.2, 12), expect.closeTo(0.25, 12)],
    heavy_p_dwell_seconds: [1, 2.5],
  });
});

test("a head behind a closed gate has probability 0; what is unknown leaves the gate open", async () => {
  const model = echo({
    photo_expand: PLATT,
    video_view: PLATT,
    quoted_click: PLATT,
    follow_author: PLATT,
    post_unexplored: PLATT,
  });
  const posts: PostRow[] = [
    { post_id: "1", has_photo: 1, has_video: 0, has_quote: 0, in_network: 1 },
    { post_id: "2", has_photo: 0, has_video: 1, has_quote: 1, in_network: 0 },
    { post_id: "3" },
  ];
  expect(await columnsOf(model, withFeatures(posts, [0, 0, 0]))).toEqual({
    heavy_p_photo_expand: [0.5, 0, 0.5],
    heavy_p_video_view: [0, 0.5, 0.5],
    heavy_p_quoted_click: [0, 0.5, 0.5],
    heavy_p_follow_author: [0, 0.5, 0.5],
    heavy_p_post_unexplored: [0.5, 0, 0.5],
  });
});

test("a composite is 1 − Π(1 − p) of its parts, unless the model predicts it itself", async () => {
  const parts = { not_interested: PLATT, mute_author: PLATT, block_author: PLATT };
  const columns = await columnsOf(echo(parts), withFeatures(one, [0]));
  expect(columns.heavy_p_negative_feedback).toEqual([0.875]);
  const own = { ...parts, negative_feedback: { kind: "platt", a: 0, b: 0 } as const };
  expect((await columnsOf(echo(own), withFeatures(one, [5]))).heavy_p_negative_feedback).toEqual([
    0.5,
  ]);
  expect(await columnsOf(echo({ favorite: PLATT }), withFeatures(one, [0]))).not.toHaveProperty(
    "heavy_p_negative_feedback",
  );
});

test("masked heads have no column", async () => {
  const model = echo({ favorite: PLATT, report: PLATT }, ["report"]);
  expect(Object.keys(await columnsOf(model, withFeatures(one, [0])))).toEqual(["heavy_p_favorite"]);
});

test("the 2023 quirk scores good_click by the better of its two versions, where asked for", async () => {
  const model = echo({ good_click: PLATT, good_click_v2: { kind: "platt", a: 1, b: 1 } });
  const table = withFeatures(one, [0]);
  expect((await columnsOf(model, table)).heavy_p_good_click).toEqual([0.5]);
  const quirky = await columnsOf(model, table, weighted({ params: { good_click_takes_best: 1 } }));
  expect(quirky.heavy_p_good_click).toEqual(quirky.heavy_p_good_click_v2);
});

test("with weighted heads only, others are left out but parts of weighted composites are not", async () => {
  const model = echo({ favorite: PLATT, reply: PLATT, mute_author: PLATT });
  const query = weighted({ weights: { favorite: 1, negative_feedback: -1 } });
  const columns = await columnsOf(model, withFeatures(one, [0]), query, true);
  expect(Object.keys(columns).sort()).toEqual([
    "heavy_p_favorite",
    "heavy_p_mute_author",
    "heavy_p_negative_feedback",
  ]);
});

test("a NaN of the model stays NaN, for the runner to see", async () => {
  const columns = await columnsOf(echo({ favorite: PLATT }), withFeatures(one, [Number.NaN]));
  expect(columns.heavy_p_favorite).toEqual([Number.NaN]);
});

test("a missing or unfitting matrix is refused by name", async () => {
  const model = echo({ favorite: PLATT });
  await expect(columnsOf(model, tableOf(one))).rejects.toThrow("there is no matrix heavy_features");
  const wide = {
    ...tableOf(one),
    matrices: new Map([["heavy_features", { width: 2, values: new Float32Array(2) }]]),
  };
  await expect(columnsOf(model, wide)).rejects.toThrow("heavy_features is not Float32Array [n, 1]");
});

test("a model that gives the wrong number of outputs is refused", async () => {
  const model = echo({ favorite: PLATT });
  const short = {
    ...model,
    inference: { ...model.inference, run: async () => new Float32Array(3) },
  };
  await expect(columnsOf(short, withFeatures(one, [0]))).rejects.toMatchObject({
    code: "COLUMN_LENGTH",
  });
});

test("without a model of its stage the scorer is skipped", () => {
  const scorer = modelScorer("heavy", { timeoutMs: 100 });
  expect(scorer.enabled?.(queryOf())).toBe(false);
  expect(scorer.enabled?.(queryOf({ models: { light: echo({ favorite: PLATT }) } }))).toBe(false);
  expect(scorer.enabled?.(queryOf({ models: { heavy: echo({ favorite: PLATT }) } }))).toBe(true);
});
