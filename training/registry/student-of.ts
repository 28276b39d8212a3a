import { RoostError } from "../../errors.ts";
import { checkBundle } from "../../features/check-bundle.ts";
import { narrower, TEACHER_SHARE, type Teacher } from "../trainers/distillation.ts";
import { HeavyOptions } from "../trainers/ranker-options.ts";
import type { RankerKind } from "../trainers/trained-model.ts";
import { findVersion, readFound } from "./find-version.ts";

export interface StudentRequest {
  /** The teacher, a heavy ranker: first digits of a version, or an alias. */
  readonly of: string;
  /** A heavy student's width by the teacher's, above 0, at most 1. Default .5; a light student has no layers. */
  readonly width?: number;
}

const STUDENTS: readonly string[] = ["light", "heavy"] satisfies RankerKind[];
/** As wide as the narrower form that docs/models.md measures. */
const WIDTH = 0.5;

/** @throws BAD_ARGUMENT when something else is asked for than rankers trained anew that can be students */
export function checkStudent(
  {
    student,
    sinceMs,
    curveDays = [],
  }: {
    readonly student: StudentRequest;
    readonly sinceMs?: number;
    readonly curveDays?: readonly number[];
  },
  stages: readonly string[],
): void {
  if (curveDays.length > 0)
    throw new RoostError("BAD_ARGUMENT", "--curve is of rankers without a teacher: leave it out");
  if (sinceMs !== undefined)
    throw new RoostError("BAD_ARGUMENT", "a student is trained anew: leave out --since");
  if (stages.some((stage) => !STUDENTS.includes(stage)))
    throw new RoostError(
      "BAD_ARGUMENT",
      "only light and heavy rankers can be students: --rankers light, heavy or both",
    );
  if (student.width !== undefined && !stages.includes("heavy"))
    throw new RoostError(
      "BAD_ARGUMENT",
      "--width is of a heavy student's layers, and a light ranker has none: leave it out",
    );
}

/**
 * A published heavy ranker as a teacher.
 * @throws BAD_ARGUMENT when there is no such version
 * @throws BAD_BUNDLE when it is damaged or its features are not those of this registry
 */
export async function askedTeacher(modelsDir: string, { of }: StudentRequest): Promise<Teacher> {
  const bundle = await readFound(await findVersion(modelsDir, of, "heavy"));
  checkBundle(bundle.manifest);
  return { bundle, share: TEACHER_SHARE };
}

/**
 * The layers of a heavy student.
 * @throws BAD_ARGUMENT when the teacher does not state its own (a model of another making)
 */
export function studentLayers(
  { bundle: { manifest } }: Teacher,
  { width = WIDTH }: StudentRequest,
): HeavyOptions {
  const options = HeavyOptions.safeParse(manifest.settings.heavy);
  if (!options.success)
    throw new RoostError(
      "BAD_ARGUMENT",
      `heavy ${manifest.version} does not state its layers, so nothing can be narrower than it; name a version that roost train made`,
    );
  return narrower(options.data, width);
}
