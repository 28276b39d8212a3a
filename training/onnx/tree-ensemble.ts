import { RoostError } from "../../errors.ts";
import { OnnxModelWriter } from "../graph/onnx-writer.ts";
import { type AdaptRequest, writeLogit, writeLogits } from "./adapt-onnx.ts";

/** One tree as columns; node 0 is the root. */
export interface Tree {
  /** The output that it adds to. */
  readonly group: number;
  /** The child for x < threshold; −1 in a leaf. */
  readonly left: readonly number[];
  readonly right: readonly number[];
  readonly feature: readonly number[];
  /** A leaf's value in a leaf. */
  readonly threshold: readonly number[];
  /** Whether a missing feature goes left. */
  readonly missingLeft: readonly boolean[];
}

/**
 * How the sum of a row's leaves becomes what is predicted: `logistic`: p = σ(sum). `softmax`: over the groups.
 * `identity`: the sum itself. `exp`: e^sum.
 */
export type Link = "logistic" | "softmax" | "identity" | "exp";

export interface TreeEnsemble {
  readonly features: number;
  readonly trees: readonly Tree[];
  /** Added to the leaves' sum, one a group. */
  readonly base: readonly number[];
  readonly link: Link;
}

/**
 * The ONNX model of an ensemble in the bundle's signature: group j is head j. Thresholds and leaves are float32, as
 * XGBoost keeps them, and compare with `<`.
 * @throws BAD_BUNDLE when the ensemble's outputs are not what the heads need
 * Source: github.com/onnx/onnx, docs/Operators-ml.md, TreeEnsembleRegressor-3.
 */
export function treesToOnnx(ensemble: TreeEnsemble, heads: AdaptRequest["heads"]): Uint8Array {
  checkHeads(ensemble, heads);
  const writer = new OnnxModelWriter();
  writer.input("features", ["n", ensemble.features], "float32");
  const sums = writer.fresh();
  writer.node("TreeEnsembleRegressor", ["features"], [sums], attributes(ensemble), "ai.onnx.ml");
  writer.node("Identity", [outputsOf(writer, sums, ensemble.link, heads)], ["outputs"]);
  writer.output("outputs", ["n", heads.length], "float32");
  return writer.encode();
}

function checkHeads({ base, link }: TreeEnsemble, heads: AdaptRequest["heads"]): void {
  if (base.length !== heads.length)
    throw new RoostError(
      "BAD_BUNDLE",
      `the trees give ${base.length} outputs, --heads names ${heads.length}`,
    );
  const wrong = heads.filter(({ kind }) =>
    link === "logistic" || link === "softmax"
      ? kind === "continuous"
      : link === "exp" && kind === "binary",
  );
  if (wrong.length > 0)
    throw new RoostError(
      "BAD_BUNDLE",
      `the trees give ${link === "exp" ? "amounts" : "probabilities"}, which ${wrong.map(({ name }) => name).join(", ")} is not`,
    );
}

function outputsOf(
  writer: OnnxModelWriter,
  sums: string,
  link: Link,
  heads: AdaptRequest["heads"],
): string {
  if (link === "logistic") return sums;
  const linked = writer.fresh();
  if (link === "exp") {
    writer.node("Exp", [sums], [linked]);
    return linked;
  }
  if (link === "softmax") {
    writer.node("Softmax", [sums], [linked], { axis: 1 });
    return writeLogit(writer, linked);
  }
  // A binary head that was fitted by squared error: the sum is its probability.
  return heads.some(({ kind }) => kind === "binary") ? writeLogits(writer, sums, { heads }) : sums;
}

/** Pruning leaves nodes behind that no branch leads to; onnxruntime would take each for a root. */
function reachable({ left, right }: Tree): number[] {
  const found = [0];
  for (let at = 0; at < found.length; at++) {
    const i = found[at] as number;
    if (left[i] !== -1) found.push(left[i] as number, right[i] as number);
  }
  return found;
}

function attributes({ trees, base }: TreeEnsemble) {
  const nodes = {
    trees: [] as number[],
    ids: [] as number[],
    features: [] as number[],
    modes: [] as string[],
    values: [] as number[],
    left: [] as number[],
    right: [] as number[],
    missing: [] as number[],
  };
  const leaves = {
    trees: [] as number[],
    ids: [] as number[],
    groups: [] as number[],
    values: [] as number[],
  };
  for (const [t, tree] of trees.entries())
    for (const i of reachable(tree)) {
      const left = tree.left[i] as number;
      const isLeaf = left === -1;
      nodes.trees.push(t);
      nodes.ids.push(i);
      nodes.features.push(isLeaf ? 0 : (tree.feature[i] as number));
      nodes.modes.push(isLeaf ? "LEAF" : "BRANCH_LT");
      nodes.values.push(isLeaf ? 0 : Math.fround(tree.threshold[i] as number));
      nodes.left.push(isLeaf ? 0 : left);
      nodes.right.push(isLeaf ? 0 : (tree.right[i] as number));
      nodes.missing.push(!isLeaf && tree.missingLeft[i] ? 1 : 0);
      if (!isLeaf) continue;
      leaves.trees.push(t);
      leaves.ids.push(i);
      leaves.groups.push(tree.group);
      leaves.values.push(Math.fround(tree.threshold[i] as number));
    }
  return {
    n_targets: base.length,
    aggregate_function: "SUM",
    post_transform: "NONE",
    base_values: { floats: base.map(Math.fround) },
    nodes_treeids: nodes.trees,
    nodes_nodeids: nodes.ids,
    nodes_featureids: nodes.features,
    nodes_modes: { strings: nodes.modes },
    nodes_values: { floats: nodes.values },
    nodes_truenodeids: nodes.left,
    nodes_falsenodeids: nodes.right,
    nodes_missing_value_tracks_true: nodes.missing,
    target_treeids: leaves.trees,
    target_nodeids: leaves.ids,
    target_ids: leaves.groups,
    target_weights: { floats: leaves.values },
  };
}
