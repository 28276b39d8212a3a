import { RoostError } from "../../errors.ts";
import { checkBundle } from "../../features/check-bundle.ts";
import { narrower, TEACHER_SHARE, type Teacher } from "../trainers/distillation.ts";
import { HeavyOptions } from "../trainers/ranker-options.ts";
import { findVersion, readFound } from "./find-version.ts";

/**
 * A published heavy ranker as a teacher, and the settings of a student of so many times its width.
 * @throws BAD_ARGUMENT when there is no such version, or it does not state its layers (a model of another making)
 * @throws BAD_BUNDLE when it is damaged or its features are not those of this registry
 */
export async function studentOf(
  modelsDir: string,
  { of, width }: { readonly of: string; readonly width: number },
): Promise<Teacher & { readonly heavy: HeavyOptions }> {
  const bundle = await readFound(await findVersion(modelsDir, of, "heavy"));
  checkBundle(bundle.manifest);
  const options = HeavyOptions.safeParse(bundle.manifest.settings.heavy);
  if (!options.success)
    throw new RoostError(
      "BAD_ARGUMENT",
      `heavy ${bundle.manifest.version} does not state its layers, so nothing can be narrower than it; name a version that roost train made`,
    );
  return { bundle, share: TEACHER_SHARE, heavy: narrower(options.data, width) };
}
