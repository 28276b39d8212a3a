import { z } from "zod";

const Name = z.string().min(1).max(200);
const Share = z.number().min(0).max(1);
const Range = z
  .tuple([Share, Share])
  .refine(([start, end]) => start < end, "must start below its end")
  .readonly();

/** A value of a ranking parameter. */
export const ParameterValue = z.union([z.number(), z.boolean(), z.string()]);
export type ParameterValue = z.infer<typeof ParameterValue>;

const Variation = z.strictObject({
  /** Names the arm in logs and sticky buckets: never reuse a key for something else. */
  key: Name,
  /** Share of the experiment's units; the weights of all arms sum to 1. Equal shares when no arm has one. */
  weight: Share.optional(),
  /** Ranking parameters that the arm overrides, by name. */
  parameters: z.record(Name, ParameterValue).default({}),
  /** Head weights that the arm overrides, by head. */
  weights: z.record(Name, z.number()).default({}),
});

const ParentCondition = z.strictObject({
  /** Key of the experiment that comes first. */
  id: Name,
  /** On `{value}`: the key of the arm that the unit gets there, null outside of it. */
  condition: z.record(z.string(), z.unknown()),
});

/** One experiment: GrowthBook's settings, with arms that override ranking parameters and head weights. */
export const ExperimentConfig = z.strictObject({
  key: Name,
  name: z.string().max(500).optional(),
  /** Salt of the split between the arms; the key when absent. Changing it draws everyone anew. */
  seed: Name.optional(),
  /** 2 splits independently of other experiments; 1 only to go on with an experiment begun elsewhere. */
  hashVersion: z.union([z.literal(1), z.literal(2)]).default(2),
  /** Draft: forced users only. Stopped: serves nobody and frees its parameters and ranges. */
  status: z.enum(["draft", "running", "stopped"]).default("draft"),
  /** The layer, and the share of the layer's units that this experiment owns. */
  layer: z.strictObject({ id: Name, ranges: z.array(Range).min(1) }).optional(),
  variations: z.array(Variation).min(2, "needs at least 2 variations"),
  /** Share of each arm's range that is in the experiment; raising it moves nobody between arms. */
  coverage: Share.default(1),
  /** Bucket range of each variation, instead of weights and coverage. */
  ranges: z.array(Range).optional(),
  hashAttribute: Name.default("user_id"),
  /** Carries an arm over from before the hash attribute was known; needs `sticky`. */
  fallbackAttribute: Name.optional(),
  condition: z.record(z.string(), z.unknown()).default({}),
  parentConditions: z.array(ParentCondition).default([]),
  /** Keep units in the arm that they first got. Off, since it costs a read and a write per unit. */
  sticky: z.boolean().default(false),
  /** Raise it to draw sticky units anew. */
  bucketVersion: z.int().min(0).default(0),
  /** Units stuck to an older version are excluded. */
  minBucketVersion: z.int().min(0).default(0),
  /** Key of the arm that all units in range get, without exposures: the way to ship a winner. */
  force: Name.optional(),
});

/** Experiments that share units must not share parameters: a layer owns parameters and splits its units among experiments. */
export const LayerConfig = z.strictObject({
  id: Name,
  /** Salt of the layer's buckets; differs from every split salt. `layer:<id>` when absent. */
  seed: Name.optional(),
  /** Attribute whose buckets the layer's ranges divide. */
  unit: Name.default("user_id"),
  /** Parameters that only experiments of this layer may override; `weights` = all head weights, `weights.<head>` = one. */
  parameters: z.array(Name).min(1),
});

export type ExperimentConfig = z.infer<typeof ExperimentConfig>;
export type LayerConfig = z.infer<typeof LayerConfig>;

export const layerSeed = (layer: LayerConfig): string => layer.seed ?? `layer:${layer.id}`;
export const splitSeed = (experiment: ExperimentConfig): string =>
  experiment.seed ?? experiment.key;
