import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeBundle } from "../../features/bundle.ts";
import { schemaHash } from "../../features/registry.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import { denseModel, ELEMENT, foreignModel, writeDense } from "../onnx/foreign-models.fixture.ts";
import { type ImportRequest, importBundle } from "./imported-bundle.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "roost-import-"));
});
afterAll(() => rm(dir, { recursive: true }));
let files = 0;
const fileOf = async (content: Uint8Array | string): Promise<string> => {
  const path = join(dir, `model-${files++}`);
  await writeFile(path, content);
  return path;
};
const FEATURES = ["post.age_hours", "author.followers"];
const imported = async (content: Uint8Array | string, more: Partial<ImportRequest> = {}) =>
  importBundle({
    file: await fileOf(content),
    stage: "heavy",
    features: FEATURES,
    heads: ["click"],
    missing: 0,
    ...more,
  });
const X = { name: "x", type: ELEMENT.float32, shape: ["n", 2] } as const;
const Y = { name: "y", type: ELEMENT.float32, shape: ["n", 1] } as const;

test("an ONNX model becomes a bundle of today's feature definitions whose logits pass as they are", async () => {
  const { manifest, model } = await imported(denseModel());
  expect(manifest).toMatchObject({
    kind: "heavy",
    features: FEATURES,
    schema_hash: schemaHash(FEATURES, []),
    heads: [{ name: "click", kind: "binary" }],
    calibration: [{ kind: "platt", a: 1, b: 0 }],
    metrics: {},
    parameters: 2,
    settings: { imported: "onnx", missing: 0 },
  });
  const session = await onnxSession(model, 1);
  const { outputs } = await session.run({
    features: { data: Float32Array.of(1, Number.NaN), shape: [1, 2] },
  });
  expect(outputs?.[0]).toBeCloseTo(2.5, 6);
  await session.release();
});

const TREE = {
  version: [1, 7, 4],
  learner: {
    learner_model_param: { base_score: "5E-1", num_class: "0", num_feature: "2" },
    objective: { name: "binary:logistic" },
    gradient_booster: {
      name: "gbtree",
      model: {
        tree_info: [0],
        trees: [
          {
            tree_param: {},
            left_children: [1, -1, -1],
            right_children: [2, -1, -1],
            split_indices: [1, 0, 0],
            split_conditions: [10, -1, 2],
            default_left: [1, 0, 0],
          },
        ],
      },
    },
  },
};

test("XGBoost's JSON becomes a bundle that handles missing features itself", async () => {
  const { manifest, model } = await importBundle({
    file: await fileOf(JSON.stringify(TREE)),
    stage: "light",
    features: FEATURES,
    heads: ["favorite"],
  });
  expect(manifest).toMatchObject({
    kind: "light",
    settings: { imported: "xgboost", missing: "NaN" },
  });
  const session = await onnxSession(model, 1);
  const { outputs } = await session.run({
    features: { data: Float32Array.of(0, 5, 0, 10, 0, Number.NaN), shape: [3, 2] },
  });
  expect([...(outputs as Float32Array)]).toEqual([-1, 2, -1]);
  await session.release();
});

test.each<[string, () => Uint8Array | string, Partial<ImportRequest>, string, RegExp]>([
  [
    "features that are not there",
    () => denseModel(),
    { features: ["post.age_hours", "user.shoe_size"] },
    "BAD_BUNDLE",
    /unknown features: user\.shoe_size/,
  ],
  [
    "a feature twice",
    () => denseModel(),
    { features: ["post.age_hours", "post.age_hours"] },
    "BAD_BUNDLE",
    /twice\s+→ at features/,
  ],
  ["no features", () => denseModel(), { features: [] }, "BAD_ARGUMENT", /--features must list/],
  [
    "heads that are not there",
    () => denseModel(),
    { heads: ["clap"] },
    "BAD_ARGUMENT",
    /--heads clap: not in the head table/,
  ],
  [
    "ids without a table size",
    () => denseModel(),
    { ids: ["author"] },
    "BAD_ARGUMENT",
    /--ids needs --buckets/,
  ],
  [
    "a NaN weight that no probe would show",
    () =>
      foreignModel([X], [Y], (writer) => {
        const table = writer.constant(Float32Array.of(0, Number.NaN), [2, 1]);
        writer.node("Gather", [table, writer.int64s([0])], ["first"]);
        writeDense(writer, ["x", "z"], [1, 1], [0]);
        writer.node("Add", ["z", "first"], ["y"]);
      }),
    {},
    "BAD_BUNDLE",
    /weight 1 of c0 is NaN/,
  ],
  [
    "NaN for a missing feature",
    () => denseModel(),
    { missing: undefined as unknown as number },
    "BAD_BUNDLE",
    /click is NaN with features missing; say with --missing/,
  ],
  [
    "an infinite output",
    () =>
      foreignModel([X], [Y], (writer) => {
        writeDense(writer, ["x", "z"], [1, 1], [0]);
        writer.node("Exp", ["z"], ["y"]);
      }),
    {},
    "BAD_BUNDLE",
    /click is Infinity/,
  ],
  [
    "another number of features",
    () => denseModel(),
    { features: ["post.age_hours"] },
    "BAD_BUNDLE",
    /has 2 columns, --features names 1/,
  ],
  [
    "JSON of something else",
    () => '{"a": 1}',
    { missing: undefined as unknown as number },
    "BAD_BUNDLE",
    /JSON, but not a model of XGBoost/,
  ],
  [
    "flags of the other kind",
    () => JSON.stringify(TREE),
    { gives: "logits" },
    "BAD_ARGUMENT",
    /--missing, --gives is for ONNX models/,
  ],
  [
    "half of JSON",
    () => JSON.stringify(TREE).slice(0, -9),
    {},
    "BAD_BUNDLE",
    /rotobuf|no ONNX file/,
  ],
])("a model with %s is refused with the reason", async (_, content, more, code, reason) => {
  await expect(imported(content(), more)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(reason),
  });
});

test("a file that is not there is refused by its name", async () => {
  await expect(importBundle({ file: join(dir, "none"), stage: "heavy" })).rejects.toThrow(
    /none cannot be read \(ENOENT\)/,
  );
});

test("a bundle from elsewhere is taken as it is, and refused when its bytes or its stage are others", async () => {
  const { manifest, model } = await imported(denseModel());
  const path = join(dir, "bundle");
  await writeBundle(path, model, manifest);
  expect(await importBundle({ file: path, stage: "heavy" })).toEqual({
    manifest,
    model: Buffer.from(model),
  });
  await expect(importBundle({ file: path, stage: "light" })).rejects.toThrow(
    /of stage heavy, --stage says light/,
  );
  const older = { ...manifest, schema_hash: "older" };
  await writeBundle(join(dir, "older"), model, older);
  await expect(importBundle({ file: join(dir, "older"), stage: "heavy" })).rejects.toThrow(
    /other feature definitions/,
  );
  const bytes = await readFile(join(path, "model.onnx"));
  bytes.writeUInt8(bytes.readUInt8(60) ^ 1, 60);
  await writeFile(join(path, "model.onnx"), bytes);
  await expect(importBundle({ file: path, stage: "heavy" })).rejects.toThrow(
    /does not match its checksum/,
  );
});
