import type { Random } from "../../datasets/random.ts";
import { ops } from "../graph/ops.ts";
import { input, scalar, type Value } from "../graph/value.ts";
import { type InputStatistics, inputTransform } from "./input-transform.ts";
import { filled, glorotUniform, type ParameterSet } from "./parameter-set.ts";

export interface TowerConfig {
  readonly hidden: number;
  /** Numbers in a vector. */
  readonly dimension: number;
}

/** Keeps the length of a vector of zeros from being divided by. */
const EPSILON = 1e-12;

/**
 * One tower: transformed features [n, d] and pooled bags [n, p] → vectors of length 1 [n, dimension]: a hidden layer of
 * ReLUs beside a linear term.
 * Source: Covington, Adams, Sargin (2016), "Deep neural networks for YouTube recommendations", §3.2; the linear term as in
 * Cheng et al. (2016), "Wide & deep"; unit length as in Yi et al. (2019), §3.1.
 */
export function tower(
  name: "user" | "post",
  features: Value,
  statistics: InputStatistics,
  pooled: Value,
  { hidden, dimension }: TowerConfig,
  parameters: ParameterSet,
  random: Random,
): Value {
  const x = ops.concat([inputTransform(features, statistics), pooled], 1); // [n, width]
  const width = x.shape[1] as number;
  const weights = (part: string, shape: readonly number[]): Value =>
    parameters.add(`${name}_${part}`, shape, glorotUniform(random));
  const bias = (part: string, size: number): Value =>
    parameters.add(`${name}_${part}`, [size], filled(0));
  const deep = ops.relu(
    ops.add(ops.matmul(x, weights("hidden", [width, hidden])), bias("hidden_bias", hidden)),
  ); // [n, hidden]
  const out = ops.add(
    ops.add(
      ops.matmul(deep, weights("out", [hidden, dimension])),
      ops.matmul(x, weights("wide", [width, dimension])),
    ),
    bias("out_bias", dimension),
  );
  const square = ops.reduceSum(ops.square(out), [1], true);
  return ops.div(out, ops.sqrt(ops.add(square, scalar(EPSILON)))); // [n, dimension]
}

/** ln of 1 ÷ the first temperature: cosines times 10. */
const FIRST_LOG_SCALE = Math.log(10);

/** The learned factor of cosines, one for all losses: kept as its logarithm, ln(1/T). */
export function towerScale(parameters: ParameterSet): Value {
  return ops.exp(parameters.add("log_scale", [1], filled(FIRST_LOG_SCALE)));
}

/**
 * Loss of a batch of b viewers and c ≥ b posts of which the first b are what each viewer welcomed: the weighted mean of
 * −ln softmax of the own post among all, plus `pairWeight` times that of ln(1 + e^(shunned − welcomed)).
 *
 * Inputs beside the vectors: `corrections` [b, c], added to the logits (−ln Q of each candidate; a large negative number
 * where a candidate is the own post again); `row_weights` [b]; `shunned` picks rows b … 2b as each viewer's own shunned
 * post, and `pair_weights` [b] weights the pairs (0 = none).
 * Source: Yi et al. (2019), "Sampling-bias-corrected neural modeling for large corpus item recommendations", eq. 3–5;
 * Yang et al. (2020), "Mixed negative sampling", §3.3; pairs: Rendle et al. (2009), "BPR", eq. 4. `scale` is 1/T.
 */
export function twoTowerLoss(
  users: Value,
  posts: Value,
  batch: number,
  candidates: number,
  pairWeight: number,
  scale: Value,
): Value {
  const logits = ops.mul(ops.matmul(users, posts, { transposeB: true }), scale); // [b, c]
  const corrected = ops.add(logits, input("corrections", [batch, candidates]));
  const own = ops.slice(ops.logSoftmax(corrected), 1, 0, batch); // [b, b]
  const diagonal = (square: Value): Value =>
    ops.reduceSum(ops.mul(square, ops.eyeLike(square)), [1]); // [b]
  const softmax = ops.neg(ops.reduceSum(ops.mul(diagonal(own), input("row_weights", [batch]))));
  const welcomed = diagonal(ops.slice(logits, 1, 0, batch));
  const shunned = diagonal(ops.slice(logits, 1, batch, batch));
  const pairs = ops.reduceSum(
    ops.mul(ops.softplus(ops.sub(shunned, welcomed)), input("pair_weights", [batch])),
  );
  return ops.add(softmax, ops.mul(pairs, scalar(pairWeight)));
}

/**
 * How far the order of each viewer's own list of m posts is from what a ranker says of it: the mean over viewers of
 * −Σ target · ln softmax(scale · cosine). `list_target` [b, m] sums to 1 a viewer (0 for a viewer who is not taught),
 * `list_mask` [b, m] is 0, or a large negative number at places that are empty.
 * Source: Cao et al. (2007), "Learning to rank: from pairwise approach to listwise approach", §4.1–4.2 (ListNet, top one),
 * with a ranker's expected value as the relevance, as in Tang and Wang (2018), "Ranking distillation", §3.
 *
 * @param posts vectors [b · m, dimension], a viewer's list together
 */
export function listLoss(
  users: Value,
  posts: Value,
  batch: number,
  places: number,
  scale: Value,
): Value {
  const dimension = users.shape[1] as number;
  const cosines = ops.reduceSum(
    ops.mul(
      ops.reshape(posts, [batch, places, dimension]),
      ops.reshape(users, [batch, 1, dimension]),
    ),
    [2],
  ); // [b, m]
  const logits = ops.add(ops.mul(cosines, scale), input("list_mask", [batch, places]));
  const agreed = ops.mul(ops.logSoftmax(logits), input("list_target", [batch, places]));
  return ops.mul(ops.neg(ops.reduceSum(agreed)), scalar(1 / batch));
}
