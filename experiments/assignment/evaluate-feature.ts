import { evalCondition } from "./condition.ts";
import type { Experiment, Features, ParentCondition, Rule } from "./growthbook-schema.ts";
import { isFilteredOut, isInRollout } from "./rollout.ts";
import {
  type EvaluationContext,
  type ExperimentResult,
  type Outcome,
  runExperiment,
} from "./run-experiment.ts";

export interface FeatureResult {
  /** Null when the feature is unknown, blocked or without a default. */
  readonly value: unknown;
  readonly on: boolean;
  readonly off: boolean;
  readonly source:
    | "unknownFeature"
    | "defaultValue"
    | "force"
    | "experiment"
    | "prerequisite"
    | "cyclicPrerequisite";
  /** The rule that decided, "" when it has no id or none did. */
  readonly ruleId: string;
  readonly experiment?: Experiment;
  readonly experimentResult?: ExperimentResult;
}

export interface FeatureContext extends EvaluationContext {
  readonly features: Features;
  /** Told of every experiment that ran, holdouts and prerequisites included: what to log as exposures. */
  readonly onOutcome?: (experiment: Experiment, outcome: Outcome) => void;
}

/**
 * The value of a feature for a unit: its first rule that applies, else its default. Prerequisites are features too; a
 * cycle among them ends the evaluation.
 * Source: GrowthBook SDK specification, "evalFeature".
 */
export function evaluateFeature(key: string, context: FeatureContext): FeatureResult {
  return evaluate(key, context, []);
}

/** Runs one experiment whose prerequisites are the context's features. */
export function runWithFeatures(experiment: Experiment, context: FeatureContext): Outcome {
  return run(experiment, context, []);
}

function evaluate(key: string, context: FeatureContext, path: readonly string[]): FeatureResult {
  if (path.includes(key)) return decided("cyclicPrerequisite", null);
  const feature = Object.hasOwn(context.features, key) ? context.features[key] : undefined;
  if (feature === undefined) return decided("unknownFeature", null);
  const here = [...path, key];
  for (const rule of feature.rules ?? []) {
    const result = applyRule(rule, key, context, here);
    if (result !== null) return result;
  }
  return decided("defaultValue", feature.defaultValue ?? null);
}

/** What the rule decides, null when it leaves the decision to the next one. */
function applyRule(
  rule: Rule,
  featureKey: string,
  context: FeatureContext,
  path: readonly string[],
): FeatureResult | null {
  for (const parent of rule.parentConditions ?? []) {
    const state = parentState(parent, context, path);
    if (state === "cyclic") return decided("cyclicPrerequisite", null);
    if (state === "failed") return parent.gate ? decided("prerequisite", null) : null;
  }
  if (rule.filters && isFilteredOut(rule.filters, context.attributes)) return null;

  if (Object.hasOwn(rule, "force")) {
    const { condition, force } = rule;
    if (condition && !evalCondition(context.attributes, condition, context.savedGroups))
      return null;
    return isInRollout(rule, featureKey, context) ? decided("force", force, rule.id) : null;
  }
  if (rule.variations === undefined) return null;

  const { id, key, variations, parentConditions: _, range: __, force: ___, ...settings } = rule;
  const experiment: Experiment = { ...settings, key: key || featureKey, variations };
  const { result } = run(experiment, context, path);
  if (!result.inExperiment || result.passthrough) return null;
  return { ...decided("experiment", result.value, id), experiment, experimentResult: result };
}

function run(experiment: Experiment, context: FeatureContext, path: readonly string[]): Outcome {
  const outcome = runExperiment(experiment, {
    ...context,
    meetsParents: (parents) =>
      parents.every((parent) => parentState(parent, context, path) === "met"),
  });
  context.onOutcome?.(experiment, outcome);
  return outcome;
}

function parentState(
  parent: ParentCondition,
  context: FeatureContext,
  path: readonly string[],
): "met" | "failed" | "cyclic" {
  const { source, value } = evaluate(parent.id, context, path);
  if (source === "cyclicPrerequisite") return "cyclic";
  const isMet = evalCondition({ value }, parent.condition ?? {}, context.savedGroups);
  return isMet ? "met" : "failed";
}

function decided(source: FeatureResult["source"], value: unknown, ruleId = ""): FeatureResult {
  return { value, on: Boolean(value), off: !value, source, ruleId };
}
