import { RoostError } from "../../errors.ts";
import { type Attributes, evalCondition } from "./condition.ts";
import type { LoadedExperiment, LoadedExperiments } from "./config.ts";
import { pointer } from "./config-problem.ts";
import type { ParameterValue } from "./config-schema.ts";
import { hashedUnit, unitBy } from "./hashed-unit.ts";
import { isFilteredOut } from "./rollout.ts";
import { type EvaluationContext, type Reason, runExperiment } from "./run-experiment.ts";
import { type StickyDocument, stickyKey, stickySession } from "./sticky-document.ts";

/** What one experiment decided for a unit. */
export interface Assignment {
  readonly key: string;
  /** Index and key of the arm; the first arm when the unit is not in the experiment. */
  readonly variation: number;
  readonly variationKey: string;
  readonly inExperiment: boolean;
  /** The arm was drawn: this is an exposure once the unit sees it. False for forced and excluded units. */
  readonly hashUsed: boolean;
  /** `layer_taken`: another experiment of the layer was forced. */
  readonly reason: Reason | "layer_taken";
  /** In [0, 1); null when no arm was drawn. */
  readonly bucket: number | null;
  /** Probability of the arm for a unit inside the experiment, 0–1; null when no arm was drawn. */
  readonly propensity: number | null;
  readonly layer: string | undefined;
  /** What was hashed, the unit of analysis; an empty value when the unit lacks the attribute. */
  readonly hashAttribute: string;
  readonly hashValue: string;
  readonly configVersion: string;
}

export interface AssignmentSet {
  /** Ranking parameters that the unit's arms override, by name. */
  readonly parameters: Readonly<Record<string, ParameterValue>>;
  /** Head weights that the unit's arms override, by head. */
  readonly weights: Readonly<Record<string, number>>;
  /** One per experiment, those that exclude the unit too: the reason is worth showing. */
  readonly assignments: readonly Assignment[];
  /** Documents to store (`StickyStore.merge`) when sticky buckets are on. */
  readonly stickyChanges: readonly StickyDocument[];
}

export interface AssignOptions {
  /** The unit's documents (read by `stickyKeys`); absent = sticky buckets are off. */
  readonly sticky?: Iterable<StickyDocument>;
  /** Experiment key → variation key to serve whatever the hash says; drafts and stopped experiments too. */
  readonly forced?: Readonly<Record<string, string>>;
}

/**
 * Draws the unit's arms. Pure: the same configuration, attributes and documents give the same answer on every machine.
 * A layer is decided before sticky buckets, so moving its ranges takes units out of an experiment but never puts one into
 * two. Forcing an experiment takes the unit out of the others of its layer.
 * @throws BAD_REQUEST when `forced` names an unknown experiment or variation, or two experiments of one layer
 */
export function assign(
  config: LoadedExperiments,
  attributes: Attributes,
  options: AssignOptions = {},
): AssignmentSet {
  const forced = forcedArms(config, options.forced ?? {});
  const sticky = options.sticky === undefined ? undefined : stickySession(options.sticky);
  const served = new Map<string, string>();
  const context: EvaluationContext = {
    attributes,
    sticky,
    forcedVariations: forced.variations,
    meetsParents: (parents) =>
      parents.every(({ id, condition }) =>
        evalCondition({ value: served.get(id) ?? null }, condition ?? {}),
      ),
  };
  const assignments: Assignment[] = [];
  for (const loaded of config.experiments) {
    const assignment = assignOne(loaded, config.version, context, forced);
    if (assignment.inExperiment) served.set(assignment.key, assignment.variationKey);
    assignments.push(assignment);
  }
  const stickyChanges = sticky?.changes() ?? [];
  return { ...overrides(config, assignments), assignments, stickyChanges };
}

/** Keys of the sticky documents that `assign` needs for this unit; none when no running experiment is sticky. */
export function stickyKeys(config: LoadedExperiments, attributes: Attributes): string[] {
  const keys = new Set<string>();
  for (const { config: experiment } of config.experiments) {
    if (!experiment.sticky || experiment.status !== "running") continue;
    for (const attribute of [experiment.hashAttribute, experiment.fallbackAttribute]) {
      if (attribute === undefined) continue;
      const { value } = unitBy(attributes, attribute);
      if (value !== "") keys.add(stickyKey(attribute, value));
    }
  }
  return [...keys];
}

interface ForcedArms {
  /** Experiment key → index. */
  readonly variations: Readonly<Record<string, number>>;
  /** Layer id → the experiment that was forced in it. */
  readonly layers: ReadonlyMap<string, string>;
}

const NOTHING_FORCED: ForcedArms = { variations: {}, layers: new Map() };

function forcedArms(
  config: LoadedExperiments,
  forced: Readonly<Record<string, string>>,
): ForcedArms {
  const entries = Object.entries(forced);
  if (entries.length === 0) return NOTHING_FORCED;
  const variations: [string, number][] = [];
  const layers = new Map<string, string>();
  for (const [key, arm] of entries) {
    const refuse = (message: string): never => {
      throw new RoostError("BAD_REQUEST", `${pointer("forced", key)} ${message}`);
    };
    const loaded = config.experiments.find((each) => each.config.key === key);
    if (loaded === undefined) return refuse("names no experiment");
    const index = loaded.arms.findIndex((each) => each.key === arm);
    if (index < 0) {
      refuse(`must be one of ${loaded.arms.map((each) => each.key).join(", ")}, is ${arm}`);
    }
    const layer = loaded.config.layer?.id;
    if (layer !== undefined) {
      const other = layers.get(layer);
      if (other !== undefined) refuse(`excludes ${other}: both are in layer ${layer}`);
      layers.set(layer, key);
    }
    variations.push([key, index]);
  }
  return { variations: Object.fromEntries(variations), layers };
}

function assignOne(
  { config, experiment, arms }: LoadedExperiment,
  configVersion: string,
  context: EvaluationContext,
  forced: ForcedArms,
): Assignment {
  const { key } = config;
  const layer = config.layer?.id;

  const layerReason = layerExclusion(layer, experiment, context, forced);
  if (layerReason !== null) {
    const unit = hashedUnit(experiment, context);
    return {
      key,
      variation: 0,
      variationKey: arms[0]?.key as string,
      inExperiment: false,
      hashUsed: false,
      reason: layerReason,
      bucket: null,
      propensity: null,
      hashAttribute: unit.attribute,
      hashValue: unit.value,
      layer,
      configVersion,
    };
  }
  const { reason, result } = runExperiment(experiment, context);
  return {
    key,
    variation: result.variationId,
    variationKey: result.key,
    inExperiment: result.inExperiment,
    hashUsed: result.hashUsed,
    reason,
    bucket: result.bucket ?? null,
    propensity: result.hashUsed ? (arms[result.variationId]?.propensity as number) : null,
    hashAttribute: result.hashAttribute,
    hashValue: String(result.hashValue),
    layer,
    configVersion,
  };
}

/** Why the layer keeps the unit out, null when it does not. Drafts and stopped experiments report that instead. */
function layerExclusion(
  layer: string | undefined,
  { key, status, filters }: LoadedExperiment["experiment"],
  { attributes }: EvaluationContext,
  forced: ForcedArms,
): "layer_taken" | "filtered" | null {
  if (layer === undefined || Object.hasOwn(forced.variations, key)) return null;
  if (status !== "running") return null;
  if (forced.layers.has(layer)) return "layer_taken";
  return filters !== undefined && isFilteredOut(filters, attributes) ? "filtered" : null;
}

/** What the arms override together; forced arms win over drawn ones. */
function overrides(
  config: LoadedExperiments,
  assignments: readonly Assignment[],
): Pick<AssignmentSet, "parameters" | "weights"> {
  const parameters: Record<string, ParameterValue> = {};
  const weights: Record<string, number> = {};
  for (const wantForced of [false, true]) {
    for (const [i, { inExperiment, reason, variation }] of assignments.entries()) {
      if (!inExperiment || (reason === "forced") !== wantForced) continue;
      const arm = config.experiments[i]?.arms[variation];
      Object.assign(parameters, arm?.parameters);
      Object.assign(weights, arm?.weights);
    }
  }
  return { parameters, weights };
}
