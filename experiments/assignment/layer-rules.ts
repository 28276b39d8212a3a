import type { BucketRange } from "./bucket-ranges.ts";
import type { ConfigProblem } from "./config-problem.ts";
import { pointer } from "./config-problem.ts";
import { type ExperimentConfig, type LayerConfig, layerSeed, splitSeed } from "./config-schema.ts";
import { type Overridable, overriddenNames, ownedNames } from "./parameter-table.ts";

/** Entries with their index in the file, so that problems point to it. */
export type Indexed<T> = readonly (readonly [index: number, entry: T])[];

/**
 * What keeps experiments from disturbing each other: one owner per parameter, one unit per layer, disjoint ranges, salts
 * that differ. Stopped experiments hold nothing; drafts count, so that starting one cannot break a valid file.
 * Source: Tang et al. (2010), "Overlapping Experiment Infrastructure", section 4.
 */
export function layerProblems(
  layers: Indexed<LayerConfig>,
  experiments: Indexed<ExperimentConfig>,
  layerIds: ReadonlySet<string>,
  known: Overridable,
): ConfigProblem[] {
  const live = experiments.filter(([, { status }]) => status !== "stopped");
  const owners = new Map<string, string>();
  return [
    ...ownershipProblems(layers, owners, known),
    ...live.flatMap(([index, experiment]) =>
      membershipProblems(index, experiment, layers, layerIds, owners),
    ),
    ...rangeProblems(live),
    ...sharingProblems(live),
    ...saltProblems(layers, live),
  ];
}

/** Fills `owners` (parameter → layer) on the way. */
function ownershipProblems(
  layers: Indexed<LayerConfig>,
  owners: Map<string, string>,
  known: Overridable,
): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const [index, layer] of layers) {
    for (const [at, entry] of layer.parameters.entries()) {
      const place = pointer("layers", index, "parameters", at);
      const names = ownedNames(entry, known);
      if (names.length === 0) {
        problems.push({
          pointer: place,
          message: `${entry} is not a known parameter or head weight`,
        });
      }
      const taken = names.find((name) => owners.has(name));
      if (taken !== undefined) {
        const message = `${taken} is owned by layer ${owners.get(taken)} already`;
        problems.push({ pointer: place, message });
      }
      for (const name of names) if (!owners.has(name)) owners.set(name, layer.id);
    }
  }
  return problems;
}

function membershipProblems(
  index: number,
  experiment: ExperimentConfig,
  layers: Indexed<LayerConfig>,
  layerIds: ReadonlySet<string>,
  owners: ReadonlyMap<string, string>,
): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const layerId = experiment.layer?.id;
  const add = (field: string, message: string): void => {
    problems.push({ pointer: pointer("experiments", index, field), message });
  };
  if (layerId !== undefined && !layerIds.has(layerId)) {
    problems.push({
      pointer: pointer("experiments", index, "layer", "id"),
      message: `there is no layer ${layerId}`,
    });
    return problems;
  }
  const layer = layers.find(([, { id }]) => id === layerId)?.[1];
  if (layer !== undefined) {
    if (experiment.hashVersion !== 2) {
      add("hashVersion", "must be 2 in a layer: buckets of version 1 are correlated");
    }
    if (experiment.hashAttribute !== layer.unit) {
      add("hashAttribute", `must be ${layer.unit}, the unit of layer ${layer.id}`);
    }
    if (experiment.fallbackAttribute !== undefined) {
      add("fallbackAttribute", `has no effect in layer ${layer.id}, which needs ${layer.unit}`);
    }
  }
  for (const name of overriddenNames(experiment)) {
    const owner = owners.get(name);
    if (owner === layerId) continue;
    if (owner !== undefined) add("variations", `${name} is owned by layer ${owner}`);
    else if (layer !== undefined) {
      add("variations", `${name} is not owned by layer ${layer.id}; add it to its parameters`);
    }
  }
  return problems;
}

function rangeProblems(live: Indexed<ExperimentConfig>): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const taken: { layer: string; range: BucketRange; key: string }[] = [];
  for (const [index, { key, layer }] of live) {
    for (const [at, range] of (layer?.ranges ?? []).entries()) {
      const id = layer?.id as string;
      const other = taken.find((each) => each.layer === id && overlap(each.range, range));
      if (other !== undefined) {
        problems.push({
          pointer: pointer("experiments", index, "layer", "ranges", at),
          message: `overlaps ${other.range[0]} … ${other.range[1]} of experiment ${other.key} in layer ${id}`,
        });
      }
      taken.push({ layer: id, range, key });
    }
  }
  return problems;
}

export function overlap(a: BucketRange, b: BucketRange): boolean {
  return a[0] < b[1] && b[0] < a[1];
}

function sharingProblems(live: Indexed<ExperimentConfig>): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const [at, [index, later]] of live.entries()) {
    for (const [, earlier] of live.slice(0, at)) {
      if (later.layer !== undefined && later.layer.id === earlier.layer?.id) continue;
      const shared = [...overriddenNames(later)].filter((name) =>
        overriddenNames(earlier).has(name),
      );
      if (shared.length === 0) continue;
      problems.push({
        pointer: pointer("experiments", index, "variations"),
        message: `shares ${shared.join(", ")} with experiment ${earlier.key}; put both into one layer`,
      });
    }
  }
  return problems;
}

function saltProblems(
  layers: Indexed<LayerConfig>,
  live: Indexed<ExperimentConfig>,
): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const [at, [index, layer]] of layers.entries()) {
    const twin = layers.slice(0, at).find(([, each]) => layerSeed(each) === layerSeed(layer));
    if (twin === undefined) continue;
    problems.push({
      pointer: pointer("layers", index, "seed"),
      message: `is the salt of layer ${twin[1].id} too; their units would be split alike`,
    });
  }
  for (const [at, [index, experiment]] of live.entries()) {
    const seed = splitSeed(experiment);
    const place = pointer("experiments", index, "seed");
    const layer = layers.find(([, each]) => layerSeed(each) === seed);
    if (layer !== undefined) {
      const message = `${seed} is the salt of layer ${layer[1].id}; traffic and split must be independent`;
      problems.push({ pointer: place, message });
    }
    const twin = live
      .slice(0, at)
      .find(
        ([, each]) =>
          splitSeed(each) === seed &&
          !(each.layer !== undefined && each.layer.id === experiment.layer?.id),
      );
    if (twin !== undefined && twin[1].key !== experiment.key) {
      const message = `${seed} is the salt of experiment ${twin[1].key} too; their arms would be the same units`;
      problems.push({ pointer: place, message });
    }
  }
  return problems;
}
