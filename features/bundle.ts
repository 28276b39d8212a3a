import { createHash } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { RoostError } from "../errors.ts";

const Interval = z.strictObject({ value: z.number(), low: z.number(), high: z.number() });

/**
 * What turns one column of the model's output into the number that weights multiply.
 * `platt`: p = σ(a·z + b) of a logit z. `isotonic`: piecewise-linear in z through (x, y) points, x ascending, flat outside.
 * `linear`: max(0, a·y + b) of an amount.
 */
const Calibration = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("platt"), a: z.number(), b: z.number() }),
  z.strictObject({ kind: z.literal("isotonic"), x: z.array(z.number()), y: z.array(z.number()) }),
  z.strictObject({ kind: z.literal("linear"), a: z.number(), b: z.number() }),
]);
export type Calibration = z.infer<typeof Calibration>;

/** `bundle.json`: everything about a model but its weights. */
export const BundleManifest = z.strictObject({
  format: z.literal(1),
  /** What the model is for: `light`, `heavy`, `past_rates` … */
  kind: z.string().min(1),
  /** Content address: the first 16 hex digits of sha256 over the model's bytes and this manifest without `version`. */
  version: z.string().regex(/^[0-9a-f]{16}$/),
  /** Input `features` float32 [n, features.length], in this order; NaN = missing. */
  features: z.array(z.string().min(1)).min(1),
  /** Hash of the definitions behind `features` and `ids` in the registry that trained it. */
  schema_hash: z.string().min(1),
  /** Input `ids` int32 [n, ids.length]: bucket = hash = 0 ? 0 : 1 + hash mod (buckets − 1). No input when empty. */
  ids: z.array(z.strictObject({ name: z.string().min(1), buckets: z.int().min(2) })),
  /** Output `outputs` float32 [n, heads.length]: a logit for binary heads, an amount for continuous ones. */
  heads: z
    .array(z.strictObject({ name: z.string(), kind: z.enum(["binary", "continuous"]) }))
    .min(1),
  /** One per head. */
  calibration: z.array(Calibration),
  /** Heads without positives in the training data: their output is not to be used. */
  masked_heads: z.array(z.string()),
  metrics: z.record(z.string(), z.record(z.string(), Interval)),
  data: z.strictObject({
    source: z.string(),
    from_ms: z.number(),
    to_ms: z.number(),
    rows: z.int(),
    positives: z.record(z.string(), z.number()),
  }),
  seed: z.int(),
  parameters: z.int(),
  /** Training settings, for reproduction. */
  settings: z.record(z.string(), z.unknown()),
  /** sha256 of model.onnx, hex. */
  checksum: z.string().regex(/^[0-9a-f]{64}$/),
});
export type BundleManifest = z.infer<typeof BundleManifest>;

export interface Bundle {
  readonly manifest: BundleManifest;
  readonly model: Uint8Array;
}

const sha256 = (data: Uint8Array | string): string =>
  createHash("sha256").update(data).digest("hex");

/** The content address of a bundle. */
export function bundleVersion(
  manifest: Omit<BundleManifest, "version" | "checksum">,
  model: Uint8Array,
): string {
  return sha256(`${sha256(model)}${JSON.stringify(manifest)}`).slice(0, 16);
}

/** A 32-bit id hash as the table row that the model reads; 0 stays 0 (missing). */
export function idBucket(hash: number, buckets: number): number {
  return hash === 0 ? 0 : 1 + (hash % (buckets - 1));
}

/** Applies a head's calibration to one model output. NaN stays NaN. */
export function calibrate(calibration: Calibration, output: number): number {
  switch (calibration.kind) {
    case "platt":
      return 1 / (1 + Math.exp(-(calibration.a * output + calibration.b)));
    case "linear":
      return Math.max(0, calibration.a * output + calibration.b);
    case "isotonic":
      return interpolate(calibration.x, calibration.y, output);
  }
}

function interpolate(x: readonly number[], y: readonly number[], at: number): number {
  if (Number.isNaN(at)) return Number.NaN;
  let low = 0;
  let high = x.length - 1;
  if (at <= (x[low] as number)) return y[low] as number;
  if (at >= (x[high] as number)) return y[high] as number;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((x[middle] as number) <= at) low = middle;
    else high = middle;
  }
  const [x0, x1] = [x[low] as number, x[high] as number];
  const [y0, y1] = [y[low] as number, y[high] as number];
  return x1 === x0 ? y1 : y0 + ((y1 - y0) * (at - x0)) / (x1 - x0);
}

/**
 * Writes `model.onnx` and `bundle.json` into `dir` so that a reader sees the old bundle or the new one, never a mixture:
 * both files are written and flushed in a sibling directory, which is then renamed into place.
 */
export async function writeBundle(
  dir: string,
  model: Uint8Array,
  manifest: Omit<BundleManifest, "version" | "checksum">,
): Promise<BundleManifest> {
  const full = BundleManifest.parse({
    ...manifest,
    version: bundleVersion(manifest, model),
    checksum: sha256(model),
  });
  const pending = join(dirname(dir), `.${basename(dir)}.${process.pid}.partial`);
  await rm(pending, { recursive: true, force: true });
  await mkdir(pending, { recursive: true });
  await writeFlushed(join(pending, "model.onnx"), model);
  await writeFlushed(join(pending, "bundle.json"), `${JSON.stringify(full, null, 2)}\n`);
  const retired = `${pending}.old`;
  await rename(dir, retired).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  await rename(pending, dir);
  await rm(retired, { recursive: true, force: true });
  return full;
}

async function writeFlushed(path: string, data: Uint8Array | string): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Reads and verifies a bundle.
 * @throws BAD_BUNDLE when a file is missing, the manifest is malformed or the model's checksum differs.
 */
export async function readBundle(dir: string): Promise<Bundle> {
  let manifestText: string;
  let model: Uint8Array;
  try {
    manifestText = await readFile(join(dir, "bundle.json"), "utf8");
    model = await readFile(join(dir, "model.onnx"));
  } catch (error) {
    throw new RoostError("BAD_BUNDLE", `${dir}: ${(error as Error).message}`, error);
  }
  let manifest: BundleManifest;
  try {
    manifest = BundleManifest.parse(JSON.parse(manifestText));
  } catch (error) {
    const detail = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new RoostError("BAD_BUNDLE", `${dir}/bundle.json: ${detail}`, error);
  }
  if (sha256(model) !== manifest.checksum)
    throw new RoostError("BAD_BUNDLE", `${dir}/model.onnx does not match its checksum`);
  if (manifest.calibration.length !== manifest.heads.length)
    throw new RoostError("BAD_BUNDLE", `${dir}: calibration and heads differ in length`);
  return { manifest, model };
}
