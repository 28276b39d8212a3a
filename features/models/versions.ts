import { existsSync } from "node:fs";
import { readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { RoostError } from "../../errors.ts";
import {
  type Bundle,
  type BundleManifest,
  readBundle,
  sealManifest,
  writeBundle,
} from "../bundle.ts";

const Lineage = z.strictObject({
  format: z.literal(1),
  version: z.string(),
  /** The version that training went on from, or that this one was made to follow; null when none. */
  parent: z.string().nullable(),
  /** What was run, word by word. */
  command: z.array(z.string()),
  published_ms: z.number(),
});
/**
 * `lineage.json` beside a bundle: where it comes from, as far as its manifest (data, seed, schema, metrics) does not say
 * so. It is no part of the version: the same model published by another command has the same address.
 */
export type Lineage = z.infer<typeof Lineage>;

const TRAINING_STATE = "training.state";

/** The directory of a stage's versions; each is immutable and named by its content. */
const versionsDir = (stageDir: string): string => join(stageDir, "versions");
export const versionDir = (stageDir: string, version: string): string =>
  join(versionsDir(stageDir), version);

export interface PublishedBeside {
  readonly parts?: Readonly<Record<string, Uint8Array>>;
  readonly trainingState?: Uint8Array;
}

/**
 * Publishes a bundle as an immutable version of a stage. A version that is there and intact stays as it is; a damaged one
 * is replaced by its content.
 * @param more the models of the manifest's parts, and what training may go on from, in the trainer's own format: it stands
 * beside the version and is no part of its address
 * @throws BAD_BUNDLE naming what is not right in the manifest; nothing is written then
 */
export async function publishVersion(
  stageDir: string,
  model: Uint8Array,
  manifest: Omit<BundleManifest, "version" | "checksum">,
  lineage: Pick<Lineage, "parent" | "command" | "published_ms">,
  { parts, trainingState }: PublishedBeside = {},
): Promise<BundleManifest> {
  const sealed = sealManifest(manifest, model);
  const dir = versionDir(stageDir, sealed.version);
  if (existsSync(dir) && (await isIntact(stageDir, sealed.version))) return sealed;
  const beside: Lineage = { format: 1, version: sealed.version, ...lineage };
  return writeBundle(dir, model, manifest, parts, {
    "lineage.json": `${JSON.stringify(beside, null, 2)}\n`,
    ...(trainingState && { [TRAINING_STATE]: trainingState }),
  });
}

async function isIntact(stageDir: string, version: string): Promise<boolean> {
  try {
    await readVersion(stageDir, version);
    return true;
  } catch (error) {
    if (error instanceof RoostError && error.code === "BAD_BUNDLE") return false;
    throw error;
  }
}

/** @throws BAD_BUNDLE when the version is not there, damaged, or another than its directory's name says */
export async function readVersion(stageDir: string, version: string): Promise<Bundle> {
  const dir = versionDir(stageDir, version);
  const bundle = await readBundle(dir);
  if (bundle.manifest.version !== version)
    throw new RoostError("BAD_BUNDLE", `${dir} holds version ${bundle.manifest.version}`);
  return bundle;
}

/** What is known of a version's making; undefined for one that was adopted from before there were versions. */
export async function readLineage(stageDir: string, version: string): Promise<Lineage | undefined> {
  const path = join(versionDir(stageDir, version), "lineage.json");
  try {
    return Lineage.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    const detail = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new RoostError("BAD_BUNDLE", `${path}: ${detail}`, error);
  }
}

/** What training may go on from; undefined for a version that was published without it. */
export async function readTrainingState(
  stageDir: string,
  version: string,
): Promise<Buffer | undefined> {
  try {
    return await readFile(join(versionDir(stageDir, version), TRAINING_STATE));
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? ""))
      return undefined;
    throw error;
  }
}

/** The versions of a stage, in order of their names. */
export async function versionsOf(stageDir: string): Promise<string[]> {
  try {
    const names = await readdir(versionsDir(stageDir));
    return names.filter((name) => /^[0-9a-f]{16}$/.test(name)).sort();
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}

/** The stages of a directory of models, in order of their names. */
export async function stagesOf(modelsDir: string): Promise<string[]> {
  try {
    const entries = await readdir(modelsDir, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && /^[a-z][a-z0-9_]*$/.test(entry.name))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Takes away the bundle that lies directly in a stage directory, once it is a version. */
export async function removeUnversioned(stageDir: string): Promise<void> {
  // The manifest goes first: a reader then finds no bundle at all, not a half.
  const manifest = join(stageDir, "bundle.json");
  if (existsSync(manifest)) await rename(manifest, `${manifest}.adopted`);
  await rm(join(stageDir, "model.onnx"), { force: true });
  await rm(`${manifest}.adopted`, { force: true });
}
