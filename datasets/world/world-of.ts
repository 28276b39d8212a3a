import { RoostError } from "../../errors.ts";
import type { DatasetManifest } from "../dataset.ts";
import { PRESETS, type PresetName } from "./settings.ts";
import { createWorld, type World } from "./world.ts";

/**
 * The world that a simulated data set was made from, for its truth; undefined for data of other sources.
 * @throws BAD_DATASET when the manifest does not say which
 */
export function createWorldOf({ source, made_with }: DatasetManifest): World | undefined {
  if (source !== "world") return undefined;
  const { preset, seed } = made_with;
  if (typeof preset !== "string" || !Object.hasOwn(PRESETS, preset) || typeof seed !== "number")
    throw new RoostError("BAD_DATASET", "dataset.json does not say which world it is");
  return createWorld(preset as PresetName, seed);
}
