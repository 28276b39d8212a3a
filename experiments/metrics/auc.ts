import type { Metric } from "./metric.ts";
import { POSITIVE, type RankedRows, rankRows, TIE_END } from "./ranked-rows.ts";
import { observedRows, type ScoredRows } from "./scored-rows.ts";

/**
 * Area under the ROC curve: the weighted probability that a positive row scores above a negative one, ties count half.
 * NaN when either class is empty or weighs nothing.
 * @throws COLUMN_LENGTH, BAD_METRIC_INPUT
 * Source: Hanley and McNeil (1982), "The meaning and use of the area under a ROC curve".
 */
export function auc(rows: ScoredRows): number {
  return aucMetric.prepare(rows).value();
}

export const aucMetric: Metric = {
  name: "auc",
  better: "higher",
  prepare(rows) {
    const observed = observedRows(rows, { scores: "real", labels: "binary" });
    const ranked = rankRows(observed);
    return {
      unitCount: observed.unitCount,
      value: (unitWeights) => rankedAuc(ranked, 0, ranked.n, unitWeights),
    };
  },
};

/** AUC of rows `from` … `to` − 1 of `ranked`, in one pass. NaN when a class has no weight. */
export function rankedAuc(
  ranked: RankedRows,
  from: number,
  to: number,
  unitWeights?: Float64Array,
): number {
  const { marks, units, weights } = ranked;
  let area = 0;
  let positives = 0;
  let negatives = 0;
  let tiedPositives = 0;
  let tiedNegatives = 0;
  for (let i = from; i < to; i++) {
    const mark = marks[i] as number;
    let weight = unitWeights === undefined ? 1 : (unitWeights[units[i] as number] as number);
    if (weights !== undefined) weight *= weights[i] as number;
    if ((mark & POSITIVE) !== 0) tiedPositives += weight;
    else tiedNegatives += weight;
    if ((mark & TIE_END) !== 0) {
      area += tiedNegatives * (positives + tiedPositives / 2);
      positives += tiedPositives;
      negatives += tiedNegatives;
      tiedPositives = 0;
      tiedNegatives = 0;
    }
  }
  return positives > 0 && negatives > 0 ? area / (positives * negatives) : Number.NaN;
}
