import { z } from "zod";

/**
 * GrowthBook's experiments and features as its SDKs read them. Unknown keys are dropped, not refused: payloads of newer
 * versions and of other tools must still be readable. Our own configuration is strict (`config.ts`).
 * Source: GrowthBook SDK specification 0.7.
 */
const Range = z.tuple([z.number(), z.number()]).readonly();
const ConditionObject = z.record(z.string(), z.unknown());

const Filter = z.object({
  seed: z.string(),
  ranges: z.array(Range),
  attribute: z.string().optional(),
  hashVersion: z.int().optional(),
});

const ParentCondition = z.object({
  id: z.string(),
  condition: ConditionObject.optional(),
  /** A failed gate blocks the whole feature; otherwise only the rule is skipped. */
  gate: z.boolean().optional(),
});

const VariationMeta = z.object({
  key: z.string().optional(),
  name: z.string().optional(),
  /** Evaluation goes on to the next rule although the unit is tracked: a holdout. */
  passthrough: z.boolean().optional(),
});

const bucketing = {
  name: z.string().optional(),
  phase: z.string().optional(),
  seed: z.string().optional(),
  hashAttribute: z.string().optional(),
  fallbackAttribute: z.string().optional(),
  /** 1 when absent, as in foreign payloads. */
  hashVersion: z.int().optional(),
  disableStickyBucketing: z.boolean().optional(),
  bucketVersion: z.int().optional(),
  minBucketVersion: z.int().optional(),
  weights: z.array(z.number()).optional(),
  coverage: z.number().optional(),
  ranges: z.array(Range).optional(),
  meta: z.array(VariationMeta).optional(),
  filters: z.array(Filter).optional(),
  namespace: z.tuple([z.string(), z.number(), z.number()]).readonly().optional(),
  condition: ConditionObject.optional(),
  parentConditions: z.array(ParentCondition).optional(),
};

export const ExperimentSchema = z.object({
  ...bucketing,
  key: z.string(),
  variations: z.array(z.unknown()),
  status: z.string().optional(),
  active: z.boolean().optional(),
  /** Index of the variation that everyone in range gets; they are not counted as exposed. */
  force: z.int().optional(),
});

const RuleSchema = z.object({
  ...bucketing,
  id: z.string().optional(),
  key: z.string().optional(),
  variations: z.array(z.unknown()).optional(),
  /** The value of a rollout; any JSON value, null included. */
  force: z.unknown().optional(),
  range: Range.optional(),
});

export const FeatureSchema = z.object({
  defaultValue: z.unknown().optional(),
  rules: z.array(RuleSchema).optional(),
});

export const FeaturesSchema = z.record(z.string(), FeatureSchema);

export type Filter = z.infer<typeof Filter>;
export type ParentCondition = z.infer<typeof ParentCondition>;
export type Experiment = z.infer<typeof ExperimentSchema>;
export type Rule = z.infer<typeof RuleSchema>;
export type Feature = z.infer<typeof FeatureSchema>;
export type Features = Readonly<Record<string, Feature>>;
