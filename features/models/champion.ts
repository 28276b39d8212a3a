import { existsSync } from "node:fs";
import { join } from "node:path";
import { RoostError } from "../../errors.ts";
import { type Bundle, readBundle, writeBundle } from "../bundle.ts";
import { ALIAS_FILE, moveAlias, readAliases } from "./aliases.ts";
import { readVersion, removeUnversioned, versionDir } from "./versions.ts";

/**
 * The bundle that a stage serves: the version that `champion` points to or, in a directory from before there were
 * versions, the bundle that lies in the stage directory itself.
 * @throws BAD_BUNDLE when there is none, or it is damaged
 */
export async function readChampion(stageDir: string): Promise<Bundle> {
  const { champion } = await readAliases(stageDir);
  if (champion !== null) return readVersion(stageDir, champion);
  try {
    return await readBundle(stageDir);
  } catch (error) {
    // It may have become a version while it was read.
    const { champion: adopted } = await readAliases(stageDir);
    if (adopted !== null) return readVersion(stageDir, adopted);
    if (existsSync(join(stageDir, "bundle.json"))) throw error;
    throw new RoostError(
      "BAD_BUNDLE",
      `${stageDir} has no champion (${(error as RoostError).detail})`,
      error,
    );
  }
}

/** Where the champion's files are. @throws BAD_BUNDLE when a stage has neither aliases nor a bundle */
export async function championDir(stageDir: string): Promise<string> {
  const { champion } = await readAliases(stageDir);
  if (champion !== null) return versionDir(stageDir, champion);
  if (existsSync(join(stageDir, "bundle.json"))) return stageDir;
  throw new RoostError("BAD_BUNDLE", `${stageDir} has no champion`);
}

/** Whether a stage has something to serve, intact or not. */
export async function hasChampion(stageDir: string): Promise<boolean> {
  const { champion } = await readAliases(stageDir);
  return (
    champion !== null ||
    ["bundle.json", "model.onnx"].some((name) => existsSync(join(stageDir, name)))
  );
}

/** The files whose change means another champion. */
export const championFiles = (stageDir: string): string[] => [
  join(stageDir, ALIAS_FILE),
  join(stageDir, "bundle.json"),
];

/**
 * Turns the bundle that lies in a stage directory from before there were versions into a version and the champion.
 * A reader finds one or the other at every moment. A damaged one is left where it is; there is nothing to do when the
 * stage has a champion or no such bundle.
 */
export async function adoptUnversioned(stageDir: string, nowMs: number): Promise<void> {
  if (!existsSync(join(stageDir, "bundle.json"))) return;
  if ((await readAliases(stageDir)).champion === null) {
    let bundle: Bundle;
    try {
      bundle = await readBundle(stageDir);
    } catch (error) {
      if (error instanceof RoostError && error.code === "BAD_BUNDLE") return;
      throw error;
    }
    const { version, checksum: _, ...manifest } = bundle.manifest;
    await writeBundle(versionDir(stageDir, version), bundle.model, manifest, bundle.parts);
    await moveAlias(stageDir, async ({ champion }) =>
      champion === null
        ? { at_ms: nowMs, alias: "champion", action: "adopt", to: version }
        : undefined,
    );
  }
  await removeUnversioned(stageDir);
}
