import { z } from "zod";
import { RoostError } from "../../errors.ts";
import type { Link, Tree, TreeEnsemble } from "./tree-ensemble.ts";

const Flags = z.array(z.union([z.boolean(), z.number()]));
const ModelTree = z.looseObject({
  tree_param: z.looseObject({ size_leaf_vector: z.string().optional() }),
  left_children: z.array(z.int()).min(1),
  right_children: z.array(z.int()),
  split_indices: z.array(z.int()),
  split_conditions: z.array(z.number()),
  default_left: Flags,
  split_type: z.array(z.int()).optional(),
});
const Trees = z.looseObject({ tree_info: z.array(z.int()), trees: z.array(ModelTree) });
const SavedModel = z.looseObject({
  version: z.array(z.int()).default([]),
  learner: z.looseObject({
    feature_names: z.array(z.string()).optional(),
    learner_model_param: z.looseObject({
      base_score: z.string(),
      num_class: z.string().default("0"),
      num_feature: z.string(),
      num_target: z.string().default("1"),
    }),
    objective: z.looseObject({ name: z.string() }),
    gradient_booster: z.looseObject({
      name: z.string(),
      model: Trees.optional(),
      gbtree: z.looseObject({ model: Trees }).optional(),
      weight_drop: z.array(z.number()).optional(),
    }),
  }),
});

interface DumpedNode {
  readonly nodeid: number;
  readonly leaf?: number | undefined;
  readonly split?: string | number | undefined;
  readonly split_condition?: unknown;
  readonly yes?: number | undefined;
  readonly no?: number | undefined;
  readonly missing?: number | undefined;
  readonly children?: readonly DumpedNode[] | undefined;
}
const DumpedNode: z.ZodType<DumpedNode> = z.lazy(() =>
  z.looseObject({
    nodeid: z.int(),
    leaf: z.number().optional(),
    split: z.union([z.string(), z.number()]).optional(),
    split_condition: z.unknown().optional(),
    yes: z.int().optional(),
    no: z.int().optional(),
    missing: z.int().optional(),
    children: z.array(DumpedNode).optional(),
  }),
);

export interface XgboostRequest {
  /** Parsed JSON: what `booster.save_model("m.json")` or `booster.dump_model("m.json", dump_format="json")` wrote. */
  readonly json: unknown;
  /** The features in the order of the model's columns. */
  readonly features: readonly string[];
  readonly heads: readonly string[];
  /** What a dump does not hold. */
  readonly objective?: string;
  readonly baseScore?: number;
}

/** objective → how its sums are to be read. Others give scores that are no probabilities or amounts. */
const LINKS: Readonly<Record<string, Link>> = {
  "binary:logistic": "logistic",
  "binary:logitraw": "logistic",
  "reg:logistic": "logistic",
  "multi:softprob": "softmax",
  "multi:softmax": "softmax",
  "reg:squarederror": "identity",
  "reg:absoluteerror": "identity",
  "reg:pseudohubererror": "identity",
  "count:poisson": "exp",
  "reg:gamma": "exp",
  "reg:tweedie": "exp",
};

const refused = (detail: string): RoostError =>
  new RoostError("BAD_BUNDLE", `the XGBoost model is refused: ${detail}`);

/** Its base score is a sum, not a probability; an earlier XGBoost took it for one. */
const RAW = "binary:logitraw";
const RAW_SINCE = 107;

/** Whether this is one of XGBoost's JSON files. */
export const isXgboostJson = (json: unknown): boolean =>
  Array.isArray(json) || (typeof json === "object" && json !== null && "learner" in json);

/**
 * The trees of an XGBoost model: every tree that the file holds, as `Booster.predict` uses them. One output a class
 * (`multi:*`) or target; NaN is what is missing.
 * @throws BAD_BUNDLE naming what cannot be taken over (linear boosters, categorical splits, vector leaves, objectives that
 * give neither probability nor amount, other features)
 * @throws BAD_ARGUMENT when a dump comes without its objective and base score
 * Source: github.com/dmlc/xgboost, doc/model.schema and src/tree/tree_model.cc (x < condition goes left).
 */
export function readXgboost(request: XgboostRequest): TreeEnsemble {
  return Array.isArray(request.json) ? fromDump(request) : fromSaved(request);
}

function fromSaved({ json, features }: XgboostRequest): TreeEnsemble {
  const parsed = SavedModel.safeParse(json);
  if (!parsed.success) throw refused(z.prettifyError(parsed.error));
  const { learner } = parsed.data;
  const { gradient_booster: booster, learner_model_param: param } = learner;
  const model = booster.model ?? booster.gbtree?.model;
  if (model === undefined) throw refused(`a booster ${booster.name} has no trees`);
  checkFeatures(features, Number(param.num_feature), learner.feature_names ?? []);
  const link = linkOf(learner.objective.name);
  const [major = 0, minor = 0] = parsed.data.version;
  if (learner.objective.name === RAW && major * 100 + minor < RAW_SINCE)
    throw refused(
      `${RAW} meant another base score before version 1.7, and it is of ${major}.${minor}`,
    );
  const groups = Math.max(1, Number(param.num_class), Number(param.num_target));
  const trees = model.trees.map((tree, t) =>
    savedTree(tree, model.tree_info[t] ?? 0, booster.weight_drop?.[t] ?? 1),
  );
  const scores = param.base_score.replaceAll(/[[\]]/g, "").split(",").map(Number);
  return checked({
    features: features.length,
    trees,
    base: Array.from({ length: groups }, (_, g) =>
      baseMargin(scores[g] ?? (scores[0] as number), learner.objective.name),
    ),
    link,
  });
}

function savedTree(tree: z.infer<typeof ModelTree>, group: number, weight: number): Tree {
  if (Number(tree.tree_param.size_leaf_vector ?? "0") > 1)
    throw refused("its leaves are vectors; train it with multi_strategy one_output_per_tree");
  if (tree.split_type?.some((type) => type !== 0))
    throw refused("it splits on categories; encode them as numbers before training");
  return {
    group,
    left: tree.left_children,
    right: tree.right_children,
    feature: tree.split_indices,
    threshold: tree.split_conditions.map((value, i) =>
      tree.left_children[i] === -1 ? value * weight : value,
    ),
    missingLeft: tree.default_left.map(Boolean),
  };
}

function fromDump({ json, features, heads, objective, baseScore }: XgboostRequest): TreeEnsemble {
  const parsed = z.array(DumpedNode).min(1).safeParse(json);
  if (!parsed.success) throw refused(z.prettifyError(parsed.error));
  if (objective === undefined || baseScore === undefined)
    throw new RoostError(
      "BAD_ARGUMENT",
      "a dump does not hold its objective and base score: give --objective and --base-score",
    );
  const link = linkOf(objective);
  // Rounds add one tree a group, in order.
  if (parsed.data.length % heads.length !== 0)
    throw refused(
      `${parsed.data.length} trees are not a whole number for each of ${heads.length} heads`,
    );
  return checked({
    features: features.length,
    trees: parsed.data.map((root, t) => dumpedTree(root, t % heads.length, features)),
    base: heads.map(() => baseMargin(baseScore, objective)),
    link,
  });
}

function dumpedTree(root: DumpedNode, group: number, features: readonly string[]): Tree {
  const nodes: DumpedNode[] = [];
  const collect = (node: DumpedNode): void => {
    nodes.push(node);
    for (const child of node.children ?? []) collect(child);
  };
  collect(root);
  const at = new Map(nodes.map(({ nodeid }, i) => [nodeid, i]));
  const child = (id: number | undefined): number => at.get(id ?? -1) ?? -2;
  const isLeaf = ({ leaf }: DumpedNode): boolean => leaf !== undefined;
  return {
    group,
    left: nodes.map((node) => (isLeaf(node) ? -1 : child(node.yes))),
    right: nodes.map((node) => (isLeaf(node) ? -1 : child(node.no))),
    feature: nodes.map((node) => (isLeaf(node) ? 0 : columnOf(node.split, features))),
    threshold: nodes.map((node) => {
      if (node.leaf !== undefined) return node.leaf;
      if (typeof node.split_condition !== "number")
        throw refused(`its split on ${node.split} is no comparison with a number`);
      return node.split_condition;
    }),
    missingLeft: nodes.map(({ missing, yes }) => missing === yes),
  };
}

function columnOf(split: string | number | undefined, features: readonly string[]): number {
  const named = features.indexOf(String(split));
  if (named !== -1) return named;
  const numbered = /^f?(\d+)$/.exec(String(split))?.[1];
  if (numbered !== undefined && Number(numbered) < features.length) return Number(numbered);
  throw refused(`it splits on ${split}, which --features does not list`);
}

function checkFeatures(features: readonly string[], columns: number, own: readonly string[]): void {
  if (columns !== features.length)
    throw refused(`it has ${columns} features, --features lists ${features.length}`);
  const other = own.findIndex((name, i) => name !== features[i] && !/^f\d+$/.test(name));
  if (other !== -1)
    throw refused(
      `its feature ${other} is ${own[other]}, where --features says ${features[other]}`,
    );
}

function linkOf(objective: string): Link {
  const link = LINKS[objective];
  if (link === undefined)
    throw refused(
      `its objective ${objective} gives neither a probability nor an amount; train with one of ${Object.keys(LINKS).join(", ")}`,
    );
  return link;
}

/** XGBoost keeps the base score as what is predicted without any tree; trees add to it before the link. */
function baseMargin(score: number, objective: string): number {
  if (!Number.isFinite(score)) throw refused(`its base score is ${score}`);
  const link = LINKS[objective];
  if (link === "logistic" && objective !== RAW) {
    if (!(score > 0 && score < 1)) throw refused(`its base score ${score} is no probability`);
    return Math.log(score / (1 - score));
  }
  if (link === "exp") {
    if (!(score > 0)) throw refused(`its base score ${score} is no amount`);
    return Math.log(score);
  }
  return score;
}

/** Children within the tree, each node under one parent, columns of one length, groups and features within range. */
function checked(ensemble: TreeEnsemble): TreeEnsemble {
  for (const [t, tree] of ensemble.trees.entries()) {
    const n = tree.left.length;
    const damaged = (what: string): RoostError => refused(`tree ${t}: ${what}`);
    for (const column of [tree.right, tree.feature, tree.threshold, tree.missingLeft])
      if (column.length !== n) throw damaged("its columns differ in length");
    if (tree.group >= ensemble.base.length || tree.group < 0)
      throw damaged(`it adds to output ${tree.group} of ${ensemble.base.length}`);
    const parents = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      if (!Number.isFinite(tree.threshold[i])) throw damaged(`node ${i} has no number`);
      if (tree.left[i] === -1) continue;
      for (const child of [tree.left[i] as number, tree.right[i] as number]) {
        if (!(child > 0 && child < n) || parents[child] === 1)
          throw damaged(`node ${i} has no child of its own ${child}`);
        parents[child] = 1;
      }
      const feature = tree.feature[i] as number;
      if (!(feature >= 0 && feature < ensemble.features))
        throw damaged(`node ${i} splits on feature ${feature} of ${ensemble.features}`);
    }
  }
  return ensemble;
}
