import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { RoostError } from "../../errors.ts";
import { parseWeights, type Weights } from "./weights.ts";

/** The weights that come with Roost. */
export const PRESETS = ["world", "x-2026", "x-2023"] as const;
export type PresetName = (typeof PRESETS)[number];

/** @throws BAD_ARGUMENT for a name that is none of `PRESETS`. */
export async function loadPreset(name: string): Promise<Weights> {
  if (!(PRESETS as readonly string[]).includes(name))
    throw new RoostError("BAD_ARGUMENT", `weights "${name}": use one of ${PRESETS.join(", ")}`);
  const path = fileURLToPath(new URL(`./presets/${name}.yaml`, import.meta.url));
  return parseWeights(await readFile(path, "utf8"), path);
}
