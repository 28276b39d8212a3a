import { createHash } from "node:crypto";
import { z } from "zod";
import { RoostError } from "../../errors.ts";
import { type BucketRange, bucketRanges } from "./bucket-ranges.ts";
import { type ConfigProblem, schemaProblems } from "./config-problem.ts";
import {
  ExperimentConfig,
  LayerConfig,
  layerSeed,
  type ParameterValue,
  splitSeed,
} from "./config-schema.ts";
import { duplicateProblems, experimentProblems, prerequisiteProblems } from "./experiment-rules.ts";
import type { Experiment } from "./growthbook-schema.ts";
import { type Indexed, layerProblems } from "./layer-rules.ts";
import type { Overridable } from "./parameter-table.ts";

/** One experiment made ready to be evaluated. */
export interface LoadedExperiment {
  readonly config: ExperimentConfig;
  /** The same in GrowthBook's schema: its SDKs give every unit the same arm. A layer became a filter on its salt. */
  readonly experiment: Experiment;
  readonly arms: readonly Arm[];
}

export interface Arm {
  readonly key: string;
  /** Probability of this arm for a unit inside the experiment, 0–1: its share of the buckets of all arms. */
  readonly propensity: number;
  readonly parameters: Readonly<Record<string, ParameterValue>>;
  readonly weights: Readonly<Record<string, number>>;
}

/** A valid configuration; immutable, so a request keeps the one that it began with. */
export interface LoadedExperiments {
  /** First 16 hex digits of the SHA-256 of the content: independent of formatting, comments and key order. */
  readonly version: string;
  readonly layers: readonly LayerConfig[];
  /** Prerequisites before those that depend on them, otherwise as in the file. */
  readonly experiments: readonly LoadedExperiment[];
}

const File = z.strictObject({
  layers: z.array(z.unknown()).default([]),
  experiments: z.array(z.unknown()).default([]),
});

/** No experiments at all: what runs before a file is given. */
export const NO_EXPERIMENTS: LoadedExperiments = load([], []);

/**
 * Reads an experiment file given as an object. `known` says what may be overridden.
 * @throws BAD_CONFIG naming every problem at once, each with its JSON pointer
 */
export function loadExperiments(input: unknown, known: Overridable): LoadedExperiments {
  const { problems, layers, experiments } = check(input, known);
  if (problems.length > 0) {
    const lines = problems.map((problem) => `${problem.pointer || "/"} ${problem.message}`);
    throw new RoostError("BAD_CONFIG", lines.join("; "));
  }
  return load(layers, experiments);
}

/** Every problem of an experiment file given as an object; empty when `loadExperiments` takes it. */
export function experimentFileProblems(input: unknown, known: Overridable): ConfigProblem[] {
  return check(input, known).problems;
}

/** Entries are parsed one by one, so that a fault in one does not hide what is wrong between the others. */
function check(
  input: unknown,
  known: Overridable,
): { problems: ConfigProblem[]; layers: LayerConfig[]; experiments: ExperimentConfig[] } {
  const file = File.safeParse(input);
  const problems = file.success ? [] : schemaProblems(file.error, []);
  const raw = File.partial().loose().safeParse(input).data ?? {};
  const layers = parseEach(LayerConfig, raw.layers ?? [], "layers", problems);
  const experiments = parseEach(ExperimentConfig, raw.experiments ?? [], "experiments", problems);
  problems.push(
    ...duplicateProblems(layers, experiments),
    ...experiments.flatMap(([index, each]) => experimentProblems(index, each, known)),
    ...prerequisiteProblems(experiments, namesOf(raw.experiments, "key")),
    ...layerProblems(layers, experiments, namesOf(raw.layers, "id"), known),
  );
  return {
    problems,
    layers: layers.map(([, layer]) => layer),
    experiments: experiments.map(([, experiment]) => experiment),
  };
}

function parseEach<T>(
  schema: z.ZodType<T>,
  entries: readonly unknown[],
  list: string,
  problems: ConfigProblem[],
): Indexed<T> {
  return entries.flatMap((entry, index) => {
    const parsed = schema.safeParse(entry);
    if (parsed.success) return [[index, parsed.data] as const];
    problems.push(...schemaProblems(parsed.error, [list, index]));
    return [];
  });
}

/** Names also of entries that are faulty, so that references to them are not called unknown on top. */
function namesOf(entries: readonly unknown[] | undefined, field: string): Set<string> {
  return new Set(
    (entries ?? []).flatMap((entry) => {
      const name = (entry as Record<string, unknown> | null)?.[field];
      return typeof name === "string" ? [name] : [];
    }),
  );
}

function load(
  layers: readonly LayerConfig[],
  experiments: readonly ExperimentConfig[],
): LoadedExperiments {
  const content = canonicalJson({ layers, experiments });
  return {
    version: createHash("sha256").update(content).digest("hex").slice(0, 16),
    layers,
    experiments: parentsFirst(experiments).map((config) => loadOne(config, layers)),
  };
}

function loadOne(config: ExperimentConfig, layers: readonly LayerConfig[]): LoadedExperiment {
  const { variations, coverage, layer: place } = config;
  const layer = layers.find(({ id }) => id === place?.id);
  const weights = variations.flatMap(({ weight }) => (weight === undefined ? [] : [weight]));
  const ranges: readonly BucketRange[] =
    config.ranges ?? bucketRanges(variations.length, coverage, weights.length > 0 ? weights : null);
  const covered = ranges.reduce((total, [start, end]) => total + end - start, 0);
  const { key, status, hashAttribute, hashVersion, fallbackAttribute, condition } = config;
  const experiment: Experiment = {
    key,
    status,
    hashAttribute,
    hashVersion,
    seed: splitSeed(config),
    variations: variations.map((variation) => variation.key),
    meta: variations.map((variation) => ({ key: variation.key })),
    ranges: [...ranges],
    condition,
    parentConditions: config.parentConditions,
    disableStickyBucketing: !config.sticky,
    bucketVersion: config.bucketVersion,
    minBucketVersion: config.minBucketVersion,
    ...(config.name !== undefined && { name: config.name }),
    ...(fallbackAttribute !== undefined && { fallbackAttribute }),
    ...(config.force !== undefined && {
      force: variations.findIndex((variation) => variation.key === config.force),
    }),
    ...(layer !== undefined && {
      filters: [
        {
          seed: layerSeed(layer),
          ranges: place?.ranges ?? [],
          attribute: layer.unit,
          hashVersion: 2,
        },
      ],
    }),
  };
  const arms = variations.map(({ key: arm, parameters, weights: heads }, i): Arm => {
    const [start, end] = ranges[i] as BucketRange;
    const propensity = covered > 0 ? (end - start) / covered : 0;
    return { key: arm, propensity, parameters, weights: heads };
  });
  return { config, experiment, arms };
}

function parentsFirst(experiments: readonly ExperimentConfig[]): ExperimentConfig[] {
  const placed = new Set<ExperimentConfig>();
  const place = (experiment: ExperimentConfig): void => {
    if (placed.has(experiment)) return;
    for (const { id } of experiment.parentConditions) {
      const parent = experiments.find(({ key }) => key === id);
      if (parent !== undefined) place(parent);
    }
    placed.add(experiment);
  };
  for (const experiment of experiments) place(experiment);
  return [...placed];
}

/** JSON with sorted keys: equal content gives equal text. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}
