import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { HEAD_BY_NAME } from "../../datasets/heads.ts";
import { RoostError } from "../../errors.ts";
import {
  type BundleManifest,
  type Calibration,
  readBundle,
  sealManifest,
} from "../../features/bundle.ts";
import { checkBundle } from "../../features/check-bundle.ts";
import { checkWeights } from "../../features/check-weights.ts";
import { schemaHash, unknownFeatures } from "../../features/registry.ts";
import { adaptOnnx, type Gives } from "../onnx/adapt-onnx.ts";
import { probeOnnx } from "../onnx/probe-onnx.ts";
import { treesToOnnx } from "../onnx/tree-ensemble.ts";
import { isXgboostJson, readXgboost } from "../onnx/xgboost-json.ts";

export interface ImportRequest {
  /** An ONNX model, XGBoost's JSON, or a directory with a bundle. */
  readonly file: string;
  readonly stage: string;
  /** In the order of the model's columns. */
  readonly features?: readonly string[];
  readonly ids?: readonly string[];
  readonly buckets?: number;
  readonly heads?: readonly string[];
  readonly gives?: Gives;
  readonly outputs?: readonly string[];
  readonly missing?: number;
  readonly objective?: string;
  readonly baseScore?: number;
}

export interface ImportedBundle {
  readonly model: Uint8Array;
  readonly manifest: Omit<BundleManifest, "version" | "checksum">;
}

type Heads = BundleManifest["heads"];
/** Outputs are logits and amounts already, so they pass as they are. */
const AS_IS: Readonly<Record<Heads[number]["kind"], Calibration>> = {
  binary: { kind: "platt", a: 1, b: 0 },
  continuous: { kind: "linear", a: 1, b: 0 },
};

/**
 * A bundle from a model of another making, checked as far as it can be without data: features and their definitions,
 * finite weights, shapes, finite outputs with and without missing features, rows that do not depend on one another.
 * @throws BAD_BUNDLE with the reason why it is refused
 * @throws BAD_ARGUMENT when something must be said that the file does not hold
 */
export async function importBundle(request: ImportRequest): Promise<ImportedBundle> {
  const found = await stat(request.file).catch((error: NodeJS.ErrnoException) => {
    throw new RoostError("BAD_ARGUMENT", `${request.file} cannot be read (${error.code})`, error);
  });
  const imported = found.isDirectory() ? await asBundle(request) : await asModel(request);
  const { model, manifest } = imported;
  checkBundle(sealManifest(manifest, model));
  const weights = checkWeights(model);
  await probeOnnx(model, manifest);
  return found.isDirectory() ? imported : { model, manifest: { ...manifest, parameters: weights } };
}

/** A bundle that was published elsewhere. */
async function asBundle({ file, stage }: ImportRequest): Promise<ImportedBundle> {
  const bundle = await readBundle(file);
  const { version: _version, checksum: _checksum, ...manifest } = bundle.manifest;
  if (manifest.kind !== stage)
    throw new RoostError(
      "BAD_ARGUMENT",
      `${file} is a bundle of stage ${manifest.kind}, --stage says ${stage}`,
    );
  return { model: bundle.model, manifest };
}

async function asModel(request: ImportRequest): Promise<ImportedBundle> {
  const { file, stage } = request;
  const features = required(request.features, "--features");
  const ids = request.ids ?? [];
  const names = required(request.heads, "--heads");
  const unknown = unknownFeatures(features, ids);
  if (unknown.length > 0)
    throw new RoostError(
      "BAD_BUNDLE",
      `the model needs unknown features: ${unknown.join(", ")}; docs/features.md lists those there are`,
    );
  if (ids.length > 0 && request.buckets === undefined)
    throw new RoostError("BAD_ARGUMENT", "--ids needs --buckets: how many rows the id tables have");
  const heads = headsOf(names);
  const bytes = await readFile(file);
  const json = parsedJson(bytes);
  const model =
    json === undefined
      ? await fromOnnx(request, bytes, features, ids, heads)
      : fromXgboost(request, json, features, ids, heads);
  return {
    model,
    manifest: {
      format: 1,
      kind: stage,
      features: [...features],
      schema_hash: schemaHash(features, ids),
      ids: ids.map((name) => ({ name, buckets: request.buckets as number })),
      heads,
      calibration: heads.map(({ kind }) => AS_IS[kind]),
      masked_heads: [],
      metrics: {},
      data: { source: `file ${basename(file)}`, from_ms: 0, to_ms: 0, rows: 0, positives: {} },
      seed: 0,
      parameters: 0,
      settings: {
        imported: json === undefined ? "onnx" : "xgboost",
        ...(request.gives && { gives: request.gives }),
        missing: request.missing ?? "NaN",
      },
    },
  };
}

function fromOnnx(
  { gives, outputs, missing }: ImportRequest,
  model: Uint8Array,
  features: readonly string[],
  ids: readonly string[],
  heads: Heads,
): Promise<Uint8Array> {
  // Before it is run, so that the weight is named and not what comes of it.
  checkWeights(model);
  return adaptOnnx({
    model,
    d: features.length,
    k: ids.length,
    heads,
    ...(gives && { gives }),
    ...(outputs && { outputs }),
    ...(missing !== undefined && { missing }),
  });
}

function fromXgboost(
  { file, missing, gives, outputs, objective, baseScore }: ImportRequest,
  json: unknown,
  features: readonly string[],
  ids: readonly string[],
  heads: Heads,
): Uint8Array {
  if (!isXgboostJson(json))
    throw new RoostError("BAD_BUNDLE", `${file} is JSON, but not a model of XGBoost`);
  if (ids.length > 0)
    throw new RoostError("BAD_ARGUMENT", "XGBoost's trees take features only, no --ids");
  const foreign = [
    missing !== undefined && "--missing",
    gives && "--gives",
    outputs && "--outputs",
  ].filter(Boolean);
  if (foreign.length > 0)
    throw new RoostError(
      "BAD_ARGUMENT",
      `${foreign.join(", ")} is for ONNX models; XGBoost's say themselves what they give and where a missing feature goes`,
    );
  return treesToOnnx(
    readXgboost({
      json,
      features,
      heads: heads.map(({ name }) => name),
      ...(objective !== undefined && { objective }),
      ...(baseScore !== undefined && { baseScore }),
    }),
    heads,
  );
}

function required(list: readonly string[] | undefined, flag: string): readonly string[] {
  if (list !== undefined && list.length > 0) return list;
  throw new RoostError("BAD_ARGUMENT", `${flag} must list what the model has`);
}

function headsOf(names: readonly string[]): Heads {
  const unknown = names.filter((name) => !HEAD_BY_NAME.has(name));
  if (unknown.length > 0)
    throw new RoostError(
      "BAD_ARGUMENT",
      `--heads ${unknown.join(", ")}: not in the head table, datasets/heads.ts`,
    );
  return names.map((name) => ({
    name,
    kind: HEAD_BY_NAME.get(name)?.kind as "binary" | "continuous",
  }));
}

/** The value of a JSON text; undefined when the bytes are none. */
function parsedJson(bytes: Uint8Array): unknown {
  const first = new TextDecoder().decode(bytes.subarray(0, 64)).trimStart()[0];
  if (first !== "{" && first !== "[") return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}
