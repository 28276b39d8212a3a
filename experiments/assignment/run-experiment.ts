import { bucketRanges, chooseVariation, inNamespace } from "./bucket-ranges.ts";
import { type Attributes, evalCondition, type SavedGroups } from "./condition.ts";
import type { Experiment, ParentCondition } from "./growthbook-schema.ts";
import { bucket } from "./hash.ts";
import { hashedUnit, isStickyOn, unitBy } from "./hashed-unit.ts";
import { queryStringVariation } from "./query-string.ts";
import { isFilteredOut } from "./rollout.ts";
import { type StickySession, stickyAssignmentKey } from "./sticky-document.ts";

/** The unit and the circumstances of one evaluation. */
export interface EvaluationContext {
  readonly attributes: Attributes;
  /** False switches every experiment off. */
  readonly enabled?: boolean | undefined;
  /** Only forced variations are served. */
  readonly qaMode?: boolean | undefined;
  /** A query parameter named like an experiment forces the variation of that index. */
  readonly url?: string | undefined;
  /** Experiment key → index of the variation to serve. */
  readonly forcedVariations?: Readonly<Record<string, number>> | undefined;
  /** Experiment key → settings that replace the experiment's own. */
  readonly overrides?: Readonly<Record<string, Partial<Experiment>>> | undefined;
  readonly savedGroups?: SavedGroups | undefined;
  /** Present = sticky buckets are on. */
  readonly sticky?: StickySession | undefined;
  /** Decides prerequisites. Absent: none is ever met. */
  readonly meetsParents?: ((parents: readonly ParentCondition[]) => boolean) | undefined;
}

/** The step that decided. Only `assigned` and `sticky` are exposures. */
export type Reason =
  | "too_few_variations"
  | "disabled"
  | "query_string"
  | "forced"
  | "inactive"
  | "no_hash_attribute"
  | "filtered"
  | "namespace"
  | "condition"
  | "prerequisite"
  | "bad_hash_version"
  | "sticky_blocked"
  | "not_in_range"
  | "experiment_force"
  | "qa_mode"
  | "stopped"
  | "sticky"
  | "assigned";

/** What the unit gets. Outside of the experiment that is variation 0, the baseline. */
export interface ExperimentResult {
  readonly inExperiment: boolean;
  /** The arm was drawn by the hash, now or when the sticky bucket was stored. False for every forced arm. */
  readonly hashUsed: boolean;
  readonly variationId: number;
  readonly key: string;
  readonly name: string | undefined;
  readonly value: unknown;
  readonly hashAttribute: string;
  /** As in the attributes, "" when missing. */
  readonly hashValue: unknown;
  /** In [0, 1); undefined when no arm was drawn. */
  readonly bucket: number | undefined;
  readonly stickyBucketUsed: boolean;
  readonly passthrough: boolean | undefined;
}

export interface Outcome {
  readonly reason: Reason;
  readonly result: ExperimentResult;
}

/** Whether the outcome counts as an exposure: forced and excluded units must stay out of the analysis. */
export function isExposure({ result }: Outcome): boolean {
  return result.inExperiment && result.hashUsed;
}

/**
 * Evaluates one experiment in GrowthBook's order of steps; the first that decides is the outcome's reason. A newly drawn
 * arm is noted in `context.sticky`. URL patterns, `groups` and `include` functions are browser concerns and not read.
 * Source: GrowthBook SDK specification, "run". Deviation: a sticky arm is also found by its index as a text, which is how
 * arms without a key are stored.
 */
export function runExperiment(given: Experiment, context: EvaluationContext): Outcome {
  const count = given.variations.length;
  if (count < 2) return excluded("too_few_variations", given, context);
  if (context.enabled === false) return excluded("disabled", given, context);

  const override = context.overrides?.[given.key];
  const experiment = override === undefined ? given : { ...given, ...override };
  const { key } = experiment;
  const queried = queryStringVariation(key, context.url ?? "", count);
  if (queried !== null) return forced("query_string", experiment, context, queried);
  const { forcedVariations } = context;
  if (forcedVariations !== undefined && Object.hasOwn(forcedVariations, key)) {
    return forced("forced", experiment, context, forcedVariations[key] as number);
  }
  if (experiment.status === "draft" || experiment.active === false) {
    return excluded("inactive", experiment, context);
  }
  const unit = hashedUnit(experiment, context);
  if (unit.value === "") return excluded("no_hash_attribute", experiment, context);

  const stored = storedVariation(experiment, context);
  if (stored === NONE) {
    const reason = untargeted(experiment, context, unit.value);
    if (reason !== null) return excluded(reason, experiment, context);
  }
  const n = bucket(experiment.seed || key, unit.value, experiment.hashVersion || 1);
  if (n === null) return excluded("bad_hash_version", experiment, context);
  if (stored === BLOCKED) {
    return excluded("sticky_blocked", experiment, context, true);
  }
  const { ranges, coverage, weights } = experiment;
  const variation =
    stored === NONE ? chooseVariation(n, ranges ?? bucketRanges(count, coverage, weights)) : stored;
  if (variation < 0) return excluded("not_in_range", experiment, context);
  if (experiment.force !== undefined) {
    return forced("experiment_force", experiment, context, experiment.force);
  }
  if (context.qaMode === true) return excluded("qa_mode", experiment, context);
  if (experiment.status === "stopped") return excluded("stopped", experiment, context);

  const isSticky = stored !== NONE;
  const result = resultOf(experiment, context, variation, {
    hashUsed: true,
    stickyBucketUsed: isSticky,
    bucket: n,
  });
  if (isStickyOn(experiment, context)) {
    const assignment = stickyAssignmentKey(key, experiment.bucketVersion ?? 0);
    context.sticky?.note(unit.attribute, unit.value, assignment, result.key);
  }
  return { reason: isSticky ? "sticky" : "assigned", result };
}

function excluded(
  reason: Reason,
  experiment: Experiment,
  context: EvaluationContext,
  stickyBucketUsed = false,
): Outcome {
  const result = resultOf(experiment, context, -1, {
    hashUsed: false,
    stickyBucketUsed,
    bucket: undefined,
  });
  return { reason, result };
}

function forced(
  reason: Reason,
  experiment: Experiment,
  context: EvaluationContext,
  variation: number,
): Outcome {
  const drawn = { hashUsed: false, stickyBucketUsed: false, bucket: undefined };
  return { reason, result: resultOf(experiment, context, variation, drawn) };
}

function resultOf(
  experiment: Experiment,
  context: EvaluationContext,
  variation: number,
  drawn: { hashUsed: boolean; stickyBucketUsed: boolean; bucket: number | undefined },
): ExperimentResult {
  const inExperiment = variation >= 0 && variation < experiment.variations.length;
  const variationId = inExperiment ? variation : 0;
  const meta = experiment.meta?.[variationId];
  const unit = hashedUnit(experiment, context);
  // One literal of a fixed shape: spreads made this the dearest line of an assignment.
  return {
    inExperiment,
    hashUsed: drawn.hashUsed,
    variationId,
    key: meta?.key || String(variationId),
    name: meta?.name,
    value: experiment.variations[variationId],
    hashAttribute: unit.attribute,
    hashValue: unit.raw,
    bucket: drawn.bucket,
    stickyBucketUsed: drawn.stickyBucketUsed,
    passthrough: meta?.passthrough,
  };
}

const NONE = -1;
/** The unit was in a version of the experiment that must not go on. */
const BLOCKED = -2;

/** Index of the stored variation, NONE or BLOCKED. Documents of the hash attribute win over those of the fallback. */
function storedVariation(experiment: Experiment, context: EvaluationContext): number {
  if (!isStickyOn(experiment, context)) return NONE;
  const { fallbackAttribute, bucketVersion = 0, minBucketVersion = 0, meta } = experiment;
  const assignments: Record<string, string> = {};
  for (const attribute of [fallbackAttribute, experiment.hashAttribute || "id"]) {
    if (!attribute) continue;
    const { value } = unitBy(context.attributes, attribute);
    if (value !== "")
      Object.assign(assignments, context.sticky?.get(attribute, value)?.assignments);
  }
  for (let version = 0; version < minBucketVersion; version++) {
    if (Object.hasOwn(assignments, stickyAssignmentKey(experiment.key, version))) return BLOCKED;
  }
  const key = assignments[stickyAssignmentKey(experiment.key, bucketVersion)];
  if (key === undefined) return NONE;
  return experiment.variations.findIndex((_, i) => (meta?.[i]?.key || String(i)) === key);
}

/** The first targeting step that the unit fails, null when it passes all. */
function untargeted(
  experiment: Experiment,
  context: EvaluationContext,
  unit: string,
): Reason | null {
  const { filters, namespace, condition, parentConditions } = experiment;
  if (filters !== undefined) {
    if (isFilteredOut(filters, context.attributes)) return "filtered";
  } else if (namespace !== undefined && !inNamespace(unit, namespace)) {
    return "namespace";
  }
  if (condition && !evalCondition(context.attributes, condition, context.savedGroups)) {
    return "condition";
  }
  if (parentConditions?.length && !context.meetsParents?.(parentConditions)) return "prerequisite";
  return null;
}
