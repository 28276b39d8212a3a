import { RoostError } from "../../errors.ts";
import { calibrate } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { isotonicCurve } from "./isotonic.ts";

/** A row weighs at most so many times one at the top: far down few rows would decide everything. */
const MOST = 5;
/** Impressions at the top from which on shares can be estimated. */
const LEAST = 1000;

/**
 * Share of pages whose slot `position` was looked at, against that of the top, from how many impressions each position has:
 * position → share, falling from 1. Taken over all pages as if they were equally long, since the log says what was looked at
 * and not how long a page was.
 * @throws BAD_DATASET when fewer than 1,000 impressions are at position 0, as in a log without positions
 */
export function examinedShares(position: ArrayLike<number>): Float64Array {
  let last = 0;
  for (let row = 0; row < position.length; row++) last = Math.max(last, position[row] as number);
  const counts = new Float64Array(last + 1);
  for (let row = 0; row < position.length; row++) {
    const at = position[row] as number;
    counts[at] = (counts[at] as number) + 1;
  }
  const top = counts[0] as number;
  if (top < LEAST || last === 0)
    throw new RoostError(
      "BAD_DATASET",
      `${top} impressions are at the top of a page and the last position is ${last}: too little to learn position weights from`,
    );
  // Isotonic regression rises: so positions count backwards.
  const slots = Float64Array.from(counts, (_, at) => -at);
  const curve = isotonicCurve(slots, counts, new Float64Array(counts.length).fill(1));
  const smooth = Float64Array.from(slots, (slot) =>
    calibrate({ kind: "isotonic", ...curve }, slot),
  );
  return smooth.map((count) => Math.min(1, count / (smooth[0] as number)));
}

/**
 * The rows, weighted by 1 ÷ the share of pages whose slot was looked at (at most 5), mean 1: what is seldom looked at counts
 * as if it always were, so that the model learns of posts as they are shown and not as they are reached.
 *
 * Source: inverse propensity scoring, Joachims, Swaminathan, Schnabel (2017), "Unbiased learning-to-rank with biased
 * feedback"; here the propensity is that of being in the log at all.
 * @throws BAD_DATASET as `examinedShares`
 */
export function positionWeighted(rows: TrainingRows): TrainingRows {
  const shares = examinedShares(rows.position);
  const weight = Float32Array.from(rows.position, (at) =>
    Math.min(MOST, 1 / (shares[at] as number)),
  );
  const mean = weight.reduce((sum, value) => sum + value, 0) / rows.n;
  return {
    ...rows,
    weight: weight.map((value, row) => (value / mean) * (rows.weight[row] as number)),
  };
}
