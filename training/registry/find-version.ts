import { join } from "node:path";
import { RoostError } from "../../errors.ts";
import type { Bundle } from "../../features/bundle.ts";
import { ALIASES, type Alias, readAliases } from "../../features/models/aliases.ts";
import { readChampion } from "../../features/models/champion.ts";
import { readVersion, stagesOf, versionsOf } from "../../features/models/versions.ts";

export interface FoundVersion {
  readonly stage: string;
  readonly stageDir: string;
  readonly version: string;
}

/** The least of a version that names it. */
const LEAST_DIGITS = 4;

/**
 * The version that a person means: its first digits, or an alias.
 * @throws BAD_ARGUMENT when there is none such, or several (an alias exists in every stage: name one)
 */
export async function findVersion(
  modelsDir: string,
  text: string,
  stage?: string,
): Promise<FoundVersion> {
  const stages = (await stagesOf(modelsDir)).filter(
    (name) => stage === undefined || name === stage,
  );
  const found: FoundVersion[] = [];
  for (const name of stages) {
    const stageDir = join(modelsDir, name);
    for (const version of await matching(stageDir, text))
      found.push({ stage: name, stageDir, version });
  }
  if (found.length === 1) return found[0] as FoundVersion;
  const where = stage === undefined ? modelsDir : join(modelsDir, stage);
  throw new RoostError(
    "BAD_ARGUMENT",
    found.length === 0
      ? `there is no version ${text} in ${where}; roost models list shows what there is`
      : `${text} could be ${found.map((one) => `${one.stage} ${one.version}`).join(" or ")}; name the stage with --stage, or more of the version`,
  );
}

async function matching(stageDir: string, text: string): Promise<string[]> {
  const all = await allVersions(stageDir);
  if ((ALIASES as readonly string[]).includes(text)) {
    const aliases = await readAliases(stageDir);
    const version = aliases[text as Alias] ?? (text === "champion" ? all.unversioned : undefined);
    return version === undefined || version === null ? [] : [version];
  }
  if (!/^[0-9a-f]+$/.test(text) || text.length < LEAST_DIGITS) return [];
  return all.versions.filter((version) => version.startsWith(text));
}

/** The versions of a stage, with the one that lies there from before there were versions. */
export async function allVersions(
  stageDir: string,
): Promise<{ readonly versions: readonly string[]; readonly unversioned: string | undefined }> {
  const versions = await versionsOf(stageDir);
  const { champion } = await readAliases(stageDir);
  if (champion !== null) return { versions, unversioned: undefined };
  try {
    const { version } = (await readChampion(stageDir)).manifest;
    return { versions: [...new Set([...versions, version])].sort(), unversioned: version };
  } catch (error) {
    if (error instanceof RoostError && error.code === "BAD_BUNDLE")
      return { versions, unversioned: undefined };
    throw error;
  }
}

/** A version that was found, read and verified. @throws BAD_BUNDLE */
export async function readFound({ stageDir, version }: FoundVersion): Promise<Bundle> {
  if ((await allVersions(stageDir)).unversioned === version) return readChampion(stageDir);
  return readVersion(stageDir, version);
}
