import { join } from "node:path";
import { Command } from "commander";
import { RoostError } from "../../errors.ts";
import { ALIASES, readAliases } from "../../features/models/aliases.ts";
import { readLineage, stagesOf } from "../../features/models/versions.ts";
import { TWO_TOWER } from "../../features/tower-bundle.ts";
import { allVersions, readFound } from "../registry/find-version.ts";
import { modelsDir, type PlaceFlags, print, table, withPlace } from "./models-place.ts";

export interface ListedVersion {
  readonly version: string;
  readonly aliases: readonly string[];
  readonly published_ms: number | null;
  readonly parent: string | null;
  readonly parameters: number | null;
  readonly validation_rows: number | null;
  /** head → AUC on the validation rows. */
  readonly auc: Readonly<Record<string, number>>;
  /** Why it cannot be read; null when it can. */
  readonly problem: string | null;
}

export interface ListedStage {
  readonly stage: string;
  readonly champion: string | null;
  readonly challenger: string | null;
  readonly versions: readonly ListedVersion[];
}

/** Every version of every stage, newest first; one that is damaged is listed with the reason. */
export async function listModels(dir: string): Promise<ListedStage[]> {
  const stages: ListedStage[] = [];
  for (const stage of await stagesOf(dir)) {
    const stageDir = join(dir, stage);
    const { versions, unversioned } = await allVersions(stageDir);
    const { champion, challenger } = await readAliases(stageDir);
    const pointed = { champion: champion ?? unversioned ?? null, challenger };
    if (versions.length === 0 && pointed.champion === null) continue;
    const listed: ListedVersion[] = [];
    for (const version of versions)
      listed.push({
        ...(await described(stage, stageDir, version)),
        aliases: ALIASES.filter((alias) => pointed[alias] === version),
      });
    listed.sort((a, b) => (b.published_ms ?? 0) - (a.published_ms ?? 0));
    stages.push({ stage, ...pointed, versions: listed });
  }
  return stages;
}

async function described(
  stage: string,
  stageDir: string,
  version: string,
): Promise<Omit<ListedVersion, "aliases">> {
  try {
    const { manifest } = await readFound({ stage, stageDir, version });
    const lineage = await readLineage(stageDir, version);
    return {
      version,
      published_ms: lineage?.published_ms ?? null,
      parent: lineage?.parent ?? null,
      parameters: manifest.parameters,
      validation_rows: manifest.validation?.rows ?? null,
      auc: Object.fromEntries(
        Object.entries(manifest.metrics).flatMap(([head, { auc }]) =>
          auc === undefined ? [] : [[head, auc.value]],
        ),
      ),
      problem: null,
    };
  } catch (error) {
    if (!(error instanceof RoostError && error.code === "BAD_BUNDLE")) throw error;
    return {
      version,
      published_ms: null,
      parent: null,
      parameters: null,
      validation_rows: null,
      auc: {},
      problem: error.detail,
    };
  }
}

export function listCommand(): Command {
  return withPlace(
    new Command("list").description("every version of every stage, and what the aliases point to"),
  ).action(async (flags: PlaceFlags) => {
    const dir = modelsDir(flags);
    const stages = await listModels(dir);
    print(flags, { stages }, () =>
      stages.length === 0 ? `there are no models in ${dir}` : stages.map(readable).join("\n\n"),
    );
  });
}

function readable({ stage, versions }: ListedStage): string {
  const heads = stage === TWO_TOWER ? ["retrieval"] : ["click", "favorite"];
  const rows = versions.map(({ version, aliases, published_ms, parameters, auc, problem }) => [
    `  ${version}`,
    aliases.join(", "),
    published_ms === null ? "" : new Date(published_ms).toISOString().slice(0, 16),
    parameters === null ? "" : String(parameters),
    problem ?? heads.map((head) => auc[head]?.toFixed(4) ?? "–").join("  "),
  ]);
  return `${stage}\n${table([["  version", "alias", "published", "parameters", `auc of ${heads.join(", ")}`], ...rows])}`;
}
