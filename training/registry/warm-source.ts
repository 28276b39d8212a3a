import { RoostError } from "../../errors.ts";
import { checkBundle } from "../../features/check-bundle.ts";
import { readTrainingState } from "../../features/models/versions.ts";
import { readState } from "../trainers/training-state.ts";
import type { WarmStart } from "../trainers/warm-start.ts";
import { findVersion, readFound } from "./find-version.ts";

/**
 * A published version as something that training can go on from.
 * @param version its first digits or an alias
 * @throws BAD_ARGUMENT when there is no such version, or it was published without its training state
 * @throws BAD_BUNDLE when it is damaged or its features are not those of this registry
 */
export async function warmSource(
  modelsDir: string,
  stage: string,
  version: string,
): Promise<WarmStart> {
  const found = await findVersion(modelsDir, version, stage);
  const { manifest } = await readFound(found);
  checkBundle(manifest);
  const bytes = await readTrainingState(found.stageDir, found.version);
  if (bytes === undefined)
    throw new RoostError(
      "BAD_ARGUMENT",
      `training cannot go on from ${stage} ${found.version}: it was published without its training state, by an earlier Roost or as a model of another making; train without --since`,
    );
  const state = readState(bytes);
  if (state === undefined)
    throw new RoostError("BAD_BUNDLE", `${stage} ${found.version}: training.state is damaged`);
  return { manifest, state };
}
