import { ops } from "../graph/ops.ts";
import { constant, input, scalar, type Value } from "../graph/value.ts";

/** Continuous heads are learned in units of this many seconds: about the mean of dwell, so that losses are of like size. */
export const AMOUNT_UNIT = 30;
/** Amounts above this count as this: a tab left open says nothing about the post. */
export const AMOUNT_CAP = 300;

export type HeadKind = "binary" | "continuous";

const isContinuous = (kinds: readonly HeadKind[]): Float32Array =>
  Float32Array.from(kinds, (kind) => (kind === "continuous" ? 1 : 0));

/** ln of the expected amount in AMOUNT_UNIT, kept where e^z neither under- nor overshoots what labels can be. */
const logAmount = (raw: Value): Value => ops.clip(raw, -12, Math.log(AMOUNT_CAP / AMOUNT_UNIT));

/**
 * Sum over rows and heads of weight × loss. Feeds: `labels` [n, heads] (amounts divided by AMOUNT_UNIT and capped) and
 * `label_weights` [n, heads], 0 = masked.
 * Binary heads: cross-entropy of the logit. Continuous heads: Poisson deviance up to a constant, e^z − y·z, whose
 * minimum is the conditional mean for any distribution on y ≥ 0.
 * Source: McCullagh and Nelder (1989), ch. 6 and 9 (quasi-likelihood); Gneiting (2011), "Making and evaluating point forecasts".
 * @param negatives share of each head's negatives that is fed (weight 0 for the others): cross-entropy is then taken at
 * the log-odds among what is fed, so that the logit itself stays that of all rows
 */
export function multiHeadLoss(
  raw: Value,
  kinds: readonly HeadKind[],
  labels = input("labels", raw.shape),
  weights = input("label_weights", raw.shape),
  negatives?: ArrayLike<number>,
): Value {
  const continuous = isContinuous(kinds);
  const crossEntropy = ops.bceWithLogits(ofSampled(raw, negatives), labels);
  if (!continuous.includes(1)) return ops.reduceSum(ops.mul(crossEntropy, weights));
  const z = logAmount(raw);
  const deviance = ops.sub(ops.exp(z), ops.mul(labels, z));
  const column = constant(continuous, [kinds.length]);
  const each = ops.add(
    ops.mul(deviance, column),
    ops.mul(crossEntropy, ops.sub(scalar(1), column)),
  ); // [n, heads]
  return ops.reduceSum(ops.mul(each, weights));
}

/**
 * Keeping a share q of the negatives multiplies the odds by 1/q.
 * Source: He et al. (2014), "Practical lessons from predicting clicks on ads at Facebook", §6.3, solved for the odds.
 */
function ofSampled(raw: Value, negatives: ArrayLike<number> | undefined): Value {
  if (negatives === undefined || Array.from(negatives).every((share) => share === 1)) return raw;
  const moved = Float32Array.from(negatives, (share) => -Math.log(share));
  return ops.add(raw, constant(moved, [moved.length]));
}

/** What a bundle's model outputs [n, heads]: logits of binary heads, seconds of continuous ones. */
export function headOutputs(raw: Value, kinds: readonly HeadKind[]): Value {
  const continuous = isContinuous(kinds);
  if (!continuous.includes(1)) return raw;
  const column = constant(continuous, [kinds.length]);
  const seconds = ops.mul(ops.exp(logAmount(raw)), scalar(AMOUNT_UNIT));
  return ops.where(ops.equal(column, scalar(1)), seconds, raw);
}
