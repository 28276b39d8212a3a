import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import { RoostError } from "../errors.ts";

const Interval = z.strictObject({ value: z.number(), low: z.number(), high: z.number() });

/**
 * What turns one column of the model's output into the number that weights multiply.
 * `platt`: p = σ(a·z + b) of a logit z. `isotonic`: piecewise-linear in z through (x, y) points, x ascending, flat outside.
 * `cubic`: p = σ(c₀ + c₁u + c₂u² + c₃u³) of u = (z − center) ÷ scale, beyond low ≤ u ≤ high along the tangent there.
 * `linear`: max(0, a·y + b) of an amount.
 */
const Calibration = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("platt"), a: z.number(), b: z.number() }),
  z
    .strictObject({
      kind: z.literal("isotonic"),
      x: z.array(z.number()).min(1),
      y: z.array(z.number()),
    })
    .refine(({ x, y }) => x.length === y.length, "x and y must have equal length")
    .refine(({ x }) => x.every((value, i) => i === 0 || value >= (x[i - 1] as number)), {
      message: "x must ascend",
      path: ["x"],
    }),
  z
    .strictObject({
      kind: z.literal("cubic"),
      center: z.number(),
      scale: z.number().positive(),
      c: z.tuple([z.number(), z.number(), z.number(), z.number()]),
      low: z.number(),
      high: z.number(),
    })
    .refine(({ low, high }) => low <= high, {
      message: "low must not be above high",
      path: ["low"],
    }),
  z.strictObject({ kind: z.literal("linear"), a: z.number(), b: z.number() }),
]);
export type Calibration = z.infer<typeof Calibration>;

const Features = z.array(z.string().min(1)).min(1);
const Ids = z.array(z.strictObject({ name: z.string().min(1), buckets: z.int().min(2) }));
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const Manifest = z.strictObject({
  format: z.literal(1),
  /** What the model is for: `light`, `heavy`, `past_rates` … */
  kind: z.string().min(1),
  /** Content address: the first 16 hex digits of sha256 over the model's bytes and this manifest without `version`. */
  version: z.string().regex(/^[0-9a-f]{16}$/),
  /** Input `features` float32 [n, features.length], in this order; NaN = missing. */
  features: Features,
  /** Hash of the definitions behind `features` and `ids` in the registry that trained it. */
  schema_hash: z.string().min(1),
  /** Input `ids` int32 [n, ids.length]: bucket = hash = 0 ? 0 : 1 + hash mod (buckets − 1). No input when empty. */
  ids: Ids,
  /**
   * Further models of the same training, of use only together: part `x` is `x.onnx` beside `model.onnx`, with inputs of its
   * own and the same heads. Their checksums are part of the version, so parts of two trainings are never mixed.
   */
  parts: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_]*$/),
      z.strictObject({ features: Features, ids: Ids, checksum: Sha256 }),
    )
    .optional(),
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
  /** The rows that `metrics` were measured on; absent when nothing was measured. Equal checksums are the same rows. */
  validation: z
    .strictObject({
      from_ms: z.number(),
      to_ms: z.number(),
      rows: z.int(),
      positives: z.record(z.string(), z.number()),
      checksum: z.string().min(1),
    })
    .optional(),
  seed: z.int(),
  parameters: z.int(),
  /** Training settings, for reproduction. */
  settings: z.record(z.string(), z.unknown()),
  /** sha256 of model.onnx, hex. */
  checksum: Sha256,
});

/** What a manifest must be as a whole, beyond its fields. */
function consistent(manifest: z.infer<typeof Unversioned>, context: z.RefinementCtx): void {
  const problem = (field: string, message: string) =>
    context.addIssue({ code: "custom", path: [field], message });
  const heads = manifest.heads.map((head) => head.name);
  if (manifest.calibration.length !== heads.length)
    problem("calibration", `must have one entry per head: ${heads.length}`);
  const foreign = manifest.masked_heads.filter((name) => !heads.includes(name));
  if (foreign.length > 0) problem("masked_heads", `not among the heads: ${foreign.join(", ")}`);
  const parts = Object.entries(manifest.parts ?? {});
  for (const [field, names] of [
    ["features", manifest.features],
    ["ids", manifest.ids.map((id) => id.name)],
    ["heads", heads],
    ...parts.map(([name, { features }]) => [`parts.${name}.features`, features] as const),
    ...parts.map(([name, { ids }]) => [`parts.${name}.ids`, ids.map((id) => id.name)] as const),
  ] as const)
    if (new Set(names).size !== names.length) problem(field, "names a column twice");
}
const Unversioned = Manifest.omit({ version: true, checksum: true });
const CheckedUnversioned = Unversioned.superRefine(consistent);

/** `bundle.json`: everything about a model but its weights. */
export const BundleManifest = Manifest.superRefine(consistent);
export type BundleManifest = z.infer<typeof BundleManifest>;

export interface Bundle {
  readonly manifest: BundleManifest;
  readonly model: Uint8Array;
  /** By name, as `manifest.parts` lists them. */
  readonly parts?: Readonly<Record<string, Uint8Array>>;
}

/** The model of a bundle and those of its parts. */
export const modelsOf = ({ model, parts = {} }: Bundle): Uint8Array[] => [
  model,
  ...Object.values(parts),
];

const partFile = (name: string): string => `${name}.onnx`;

const sha256 = (data: Uint8Array | string): string =>
  createHash("sha256").update(data).digest("hex");

/** The content address of a bundle; the order of the manifest's fields does not matter. */
export function bundleVersion(
  manifest: Omit<BundleManifest, "version" | "checksum">,
  model: Uint8Array,
): string {
  return sha256(`${sha256(model)}${JSON.stringify(sorted(manifest))}`).slice(0, 16);
}

/** The same value with the keys of every object in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, part]) => [key, sorted(part)]),
  );
}

/** A 32-bit id hash as the table row that the model reads; 0 stays 0 (missing). */
export function idBucket(hash: number, buckets: number): number {
  return hash === 0 ? 0 : 1 + (hash % (buckets - 1));
}

/**
 * Applies a head's calibration to one column of a model's outputs.
 * @param outputs row-major [n, width]
 * @param column which of the `width` columns
 */
export function calibrateColumn(
  calibration: Calibration,
  outputs: Float32Array,
  width: number,
  column: number,
): Float64Array {
  const n = outputs.length / width;
  const calibrated = new Float64Array(n);
  if (calibration.kind === "platt") {
    // By far the most common, in a loop of its own: thousands of values a request.
    const { a, b } = calibration;
    for (let row = 0, at = column; row < n; row++, at += width)
      calibrated[row] = 1 / (1 + Math.exp(-(a * (outputs[at] as number) + b)));
  } else {
    for (let row = 0; row < n; row++)
      calibrated[row] = calibrate(calibration, outputs[row * width + column] as number);
  }
  return calibrated;
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
    case "cubic":
      return cubic(calibration, output);
  }
}

function cubic(
  { center, scale, c: [c0, c1, c2, c3], low, high }: Extract<Calibration, { kind: "cubic" }>,
  output: number,
): number {
  const u = (output - center) / scale;
  const inside = Math.min(Math.max(u, low), high);
  const slope = c1 + inside * (2 * c2 + 3 * c3 * inside);
  const logit = c0 + inside * (c1 + inside * (c2 + inside * c3)) + (u - inside) * slope;
  return 1 / (1 + Math.exp(-logit));
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
 * The manifest as it will be read back, with its version and checksum.
 * @throws BAD_BUNDLE naming every field that is not right
 */
export function sealManifest(
  manifest: Omit<BundleManifest, "version" | "checksum">,
  model: Uint8Array,
): BundleManifest {
  const checked = CheckedUnversioned.safeParse(manifest);
  if (!checked.success)
    throw new RoostError(
      "BAD_BUNDLE",
      `${manifest.kind}: ${z.prettifyError(checked.error)}`,
      checked.error,
    );
  // As JSON will give it back, so that a reader computes the same version.
  const plain = JSON.parse(JSON.stringify(checked.data)) as typeof checked.data;
  return { ...plain, version: bundleVersion(plain, model), checksum: sha256(model) };
}

/**
 * Writes `model.onnx` and `bundle.json` into `dir` so that a reader sees the old bundle or the new one, never a mixture:
 * both files are written and flushed in a sibling directory, which is then renamed into place. Between the two renames
 * there is no `dir` for an instant; `readBundle` waits that out.
 * @param parts the further models that the manifest lists
 * @param beside further files by name
 * @throws BAD_BUNDLE naming every field of the manifest that is not right, or a part that is not the manifest's; nothing
 * is written then
 */
export async function writeBundle(
  dir: string,
  model: Uint8Array,
  manifest: Omit<BundleManifest, "version" | "checksum">,
  parts: Readonly<Record<string, Uint8Array>> = {},
  beside: Readonly<Record<string, string | Uint8Array>> = {},
): Promise<BundleManifest> {
  const full = sealManifest(manifest, model);
  const files: [string, string | Uint8Array][] = Object.entries(beside);
  for (const name of partNames(full, parts))
    files.push([partFile(name), checkedPart(full, name, parts[name])]);
  await mkdir(dirname(dir), { recursive: true });
  const pending = await mkdtemp(join(dirname(dir), `.${basename(dir)}.partial-`));
  await writeFlushed(join(pending, "model.onnx"), model);
  await writeFlushed(join(pending, "bundle.json"), `${JSON.stringify(full, null, 2)}\n`);
  for (const [name, data] of files) await writeFlushed(join(pending, name), data);
  const retired = `${pending}.old`;
  // mkdtemp makes private directories; a bundle is as readable as its neighbours.
  await chmod(pending, 0o755);
  await rename(dir, retired).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  await rename(pending, dir);
  await rm(retired, { recursive: true, force: true });
  return full;
}

const partNames = (
  { parts }: Pick<BundleManifest, "parts">,
  given: Readonly<Record<string, Uint8Array>> = {},
): string[] => [...new Set([...Object.keys(parts ?? {}), ...Object.keys(given)])];

/** @throws BAD_BUNDLE when a part is missing or is not what the manifest says */
function checkedPart(
  { kind, parts }: Pick<BundleManifest, "kind" | "parts">,
  name: string,
  model: Uint8Array | undefined,
): Uint8Array {
  if (model !== undefined && sha256(model) === parts?.[name]?.checksum) return model;
  throw new RoostError("BAD_BUNDLE", `${kind}: part ${name} is not the one of its manifest`);
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

/** A bundle that is being replaced is whole again after this long; tries and pause in ms. */
const READ_TRIES = 5;
const READ_PAUSE_MS = 10;

/**
 * Reads and verifies a bundle.
 * @throws BAD_BUNDLE when a file is missing, the manifest is malformed, or model or manifest are not what was written.
 */
export async function readBundle(dir: string): Promise<Bundle> {
  for (let tries = 1; ; tries++) {
    try {
      return await readOnce(dir);
    } catch (error) {
      if (tries === READ_TRIES) throw error;
      await setTimeout(READ_PAUSE_MS);
    }
  }
}

async function readOnce(dir: string): Promise<Bundle> {
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
  const { version, checksum: _, ...rest } = manifest;
  if (bundleVersion(rest, model) !== version)
    throw new RoostError("BAD_BUNDLE", `${dir}/bundle.json does not match its version ${version}`);
  if (manifest.parts === undefined) return { manifest, model };
  const parts: Record<string, Uint8Array> = {};
  for (const [name, { checksum }] of Object.entries(manifest.parts)) {
    const file = join(dir, partFile(name));
    const part = await readFile(file).catch((error: Error) => {
      throw new RoostError("BAD_BUNDLE", `${dir}: ${error.message}`, error);
    });
    if (sha256(part) !== checksum)
      throw new RoostError("BAD_BUNDLE", `${file} does not match its checksum`);
    parts[name] = part;
  }
  return { manifest, model, parts };
}
