import { conditionProblems } from "./condition-rules.ts";
import { type ConfigProblem, pointer } from "./config-problem.ts";
import type { ExperimentConfig, LayerConfig } from "./config-schema.ts";
import { type Indexed, overlap } from "./layer-rules.ts";
import { misfit, type Overridable } from "./parameter-table.ts";

/** Thirds written with four digits sum to .9999. */
const WEIGHT_TOLERANCE = 1e-3;

/** Faults within one experiment: arms, weights, ranges, sticky settings, override types. */
export function experimentProblems(
  index: number,
  experiment: ExperimentConfig,
  known: Overridable,
): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const add = (path: readonly PropertyKey[], message: string): void => {
    problems.push({ pointer: pointer("experiments", index, ...path), message });
  };
  const { variations, ranges } = experiment;

  const keys = variations.map(({ key }) => key);
  for (const [at, { key }] of variations.entries()) {
    if (keys.indexOf(key) < at) add(["variations", at, "key"], `${key} is used twice`);
  }
  const given = variations.flatMap(({ weight }) => (weight === undefined ? [] : [weight]));
  const sum = given.reduce((total, weight) => total + weight, 0);
  if (given.length > 0 && given.length < variations.length) {
    add(["variations"], "give every variation a weight, or none");
  } else if (given.length > 0 && Math.abs(sum - 1) > WEIGHT_TOLERANCE) {
    add(["variations"], `the weights sum to ${Number(sum.toFixed(6))}, must sum to 1`);
  }
  if (ranges !== undefined && ranges.length !== variations.length) {
    add(["ranges"], `has ${ranges.length} ranges for ${variations.length} variations`);
  }
  if (ranges !== undefined && (experiment.coverage < 1 || given.length > 0)) {
    add(["ranges"], "replaces coverage and weights; leave those out");
  }
  for (const [at, range] of (ranges ?? []).entries()) {
    const other = ranges?.slice(0, at).findIndex((earlier) => overlap(earlier, range));
    if (other !== undefined && other >= 0) add(["ranges", at], `overlaps range ${other}`);
  }
  if (experiment.force !== undefined && !keys.includes(experiment.force)) {
    add(["force"], `there is no variation ${experiment.force}`);
  }

  const { sticky, fallbackAttribute, bucketVersion, minBucketVersion } = experiment;
  if (!sticky && fallbackAttribute !== undefined) {
    add(["fallbackAttribute"], "has no effect without sticky: true");
  }
  if (!sticky && bucketVersion > 0) add(["bucketVersion"], "has no effect without sticky: true");
  if (minBucketVersion > bucketVersion) {
    add(
      ["minBucketVersion"],
      `is above bucketVersion ${bucketVersion}: would exclude new units too`,
    );
  }

  problems.push(
    ...conditionProblems(experiment.condition, ["experiments", index, "condition"]),
    ...experiment.parentConditions.flatMap(({ condition }, at) =>
      conditionProblems(condition, ["experiments", index, "parentConditions", at, "condition"]),
    ),
  );

  const specs = new Map(known.parameters.map((spec) => [spec.name, spec]));
  for (const [at, variation] of variations.entries()) {
    for (const [name, value] of Object.entries(variation.parameters)) {
      const spec = specs.get(name);
      const fault = spec === undefined ? "is not a known parameter" : misfit(spec, value);
      if (fault !== null) add(["variations", at, "parameters", name], fault);
    }
    for (const head of Object.keys(variation.weights)) {
      if (!known.heads.includes(head)) {
        add(["variations", at, "weights", head], "is not a known head");
      }
    }
  }
  return problems;
}

/** Keys and ids used twice. */
export function duplicateProblems(
  layers: Indexed<LayerConfig>,
  experiments: Indexed<ExperimentConfig>,
): ConfigProblem[] {
  const repeated = (list: string, field: string, names: Indexed<string>): ConfigProblem[] =>
    names
      .filter(([, name], at) => names.slice(0, at).some(([, earlier]) => earlier === name))
      .map(([index, name]) => ({
        pointer: pointer(list, index, field),
        message: `${name} is used twice`,
      }));
  return [
    ...repeated(
      "layers",
      "id",
      layers.map(([index, { id }]) => [index, id] as const),
    ),
    ...repeated(
      "experiments",
      "key",
      experiments.map(([index, { key }]) => [index, key] as const),
    ),
  ];
}

/** Prerequisites that do not exist or go round in a circle. */
export function prerequisiteProblems(
  experiments: Indexed<ExperimentConfig>,
  keys: ReadonlySet<string>,
): ConfigProblem[] {
  const byKey = new Map(experiments.map(([, experiment]) => [experiment.key, experiment]));
  const reaches = (from: string, target: string, seen: Set<string>): boolean => {
    if (from === target) return true;
    if (seen.has(from)) return false;
    seen.add(from);
    return (byKey.get(from)?.parentConditions ?? []).some(({ id }) => reaches(id, target, seen));
  };
  return experiments.flatMap(([index, { key, parentConditions }]) =>
    parentConditions.flatMap(({ id }, at) => {
      const place = pointer("experiments", index, "parentConditions", at, "id");
      if (!keys.has(id)) return [{ pointer: place, message: `there is no experiment ${id}` }];
      if (!reaches(id, key, new Set())) return [];
      return [{ pointer: place, message: `${id} depends on ${key} itself` }];
    }),
  );
}
