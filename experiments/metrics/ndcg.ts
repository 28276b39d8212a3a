import { RoostError } from "../../errors.ts";
import { prepareListMean, type RankedList } from "./list-mean.ts";
import type { Metric } from "./metric.ts";
import type { ScoredRows } from "./scored-rows.ts";

/** `linear`: the label is the gain. `exponential`: 2^label − 1, which favours the top grades. */
export type Gain = "linear" | "exponential";

/**
 * NDCG@k, the mean over lists (`groups`) of DCG@k ÷ ideal DCG@k, with discount 1 / log₂(1 + rank). Labels are amounts ≥ 0.
 * Equal scores share the mean gain of their run over its ranks: the expectation under random tie-breaking. Lists without
 * a positive gain are left out; NaN when none is left.
 * @throws COLUMN_LENGTH; BAD_METRIC_INPUT also for missing groups, weights, or k that is no positive integer
 * Source: Järvelin and Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques"; ties: McSherry and Najork
 * (2008), "Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores", section 2.6.
 */
export function ndcgAtK(rows: ScoredRows, k: number, gain: Gain = "linear"): number {
  return ndcgMetric(k, gain).prepare(rows).value();
}

export function ndcgMetric(k: number, gain: Gain = "linear"): Metric {
  const toGain = gain === "linear" ? (label: number) => label : (label: number) => 2 ** label - 1;
  return {
    name: `ndcg@${k}`,
    better: "higher",
    prepare: (rows) => prepareListMean(rows, k, "amount", (list) => ndcg(list, k, toGain)),
  };
}

function ndcg(list: RankedList, k: number, toGain: (label: number) => number): number {
  const gains = Float64Array.from({ length: list.length }, (_, i) => toGain(list.label(i)));
  const top = Math.min(k, gains.length);
  let dcg = 0;
  for (let start = 0; start < top; ) {
    const end = list.tieEnd(start);
    let [runGain, discounts] = [0, 0];
    for (let i = start; i < end; i++) runGain += gains[i] as number;
    for (let i = start; i < Math.min(end, top); i++) discounts += discount(i);
    dcg += (runGain / (end - start)) * discounts;
    start = end;
  }
  const ideal = idealDcg(gains, top);
  return ideal > 0 ? dcg / ideal : Number.NaN;
}

/**
 * Linear NDCG@k of one page: the DCG of the first k places of `order`, rows of `gains` and best first, ÷ that of the best
 * possible order of all rows. A page shorter than k earns nothing in its missing places. NaN when no gain is positive.
 * @param gains finite amounts ≥ 0, [n]
 * @throws BAD_METRIC_INPUT for k that is no positive integer, a gain out of range, or a row that `gains` lacks
 * Source: as `ndcgAtK`; the order is given, so there are no ties.
 */
export function ndcgOfOrder(gains: Float64Array, order: ArrayLike<number>, k: number): number {
  if (!Number.isInteger(k) || k < 1)
    throw new RoostError("BAD_METRIC_INPUT", `k is ${k}, must be an integer ≥ 1`);
  const bad = gains.findIndex((gain) => !(gain >= 0 && gain < Number.POSITIVE_INFINITY));
  if (bad >= 0)
    throw new RoostError(
      "BAD_METRIC_INPUT",
      `gains[${bad}] is ${gains[bad]}, must be a finite amount ≥ 0`,
    );
  let dcg = 0;
  for (let i = 0; i < Math.min(k, order.length); i++) {
    const gain = gains[order[i] as number];
    if (gain === undefined)
      throw new RoostError("BAD_METRIC_INPUT", `order[${i}] is ${order[i]}, no row of gains`);
    dcg += gain * discount(i);
  }
  const ideal = idealDcg(gains.slice(), Math.min(k, gains.length));
  return ideal > 0 ? dcg / ideal : Number.NaN;
}

/** DCG of the `top` largest gains; sorts `gains`. */
function idealDcg(gains: Float64Array, top: number): number {
  gains.sort().reverse();
  let ideal = 0;
  for (let i = 0; i < top; i++) ideal += (gains[i] as number) * discount(i);
  return ideal;
}

/** Discount of the item at 0-based index i. */
const discount = (i: number): number => 1 / Math.log2(i + 2);
