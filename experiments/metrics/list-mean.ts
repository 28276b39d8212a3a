import { RoostError } from "../../errors.ts";
import { orderByGroup, unitOfGroup } from "./group-order.ts";
import type { PreparedMetric } from "./metric.ts";
import { descendingOrder } from "./score-order.ts";
import { observedRows, type ScoredRows } from "./scored-rows.ts";

/** One ranked list, best score first: `label(i)` of its i-th item, and where the run of scores tied with item i ends. */
export interface RankedList {
  readonly length: number;
  label(i: number): number;
  /** Index after the last item that ties with item i; i must start the run. */
  tieEnd(i: number): number;
}

/**
 * Mean over the lists (`groups`) of `measure`; lists where it is NaN are left out, every other list counts once.
 * @throws COLUMN_LENGTH; BAD_METRIC_INPUT also for missing groups, weights, or k that is no positive integer
 */
export function prepareListMean(
  rows: ScoredRows,
  k: number,
  labels: "binary" | "amount",
  measure: (list: RankedList) => number,
): PreparedMetric {
  if (!Number.isInteger(k) || k < 1) {
    throw new RoostError("BAD_METRIC_INPUT", `k is ${k}, must be an integer ≥ 1`);
  }
  if (rows.weights !== undefined) {
    throw new RoostError("BAD_METRIC_INPUT", "weights are given; every list counts once");
  }
  const observed = observedRows(rows, { scores: "real", labels, needsGroups: true });
  const { scores, groupCount, unitCount } = observed;
  const groups = observed.groups as Int32Array;
  const { order, starts } = orderByGroup(descendingOrder(scores), groups, groupCount);
  const unitOf = unitOfGroup(observed);

  const sums = new Float64Array(unitCount);
  const counts = new Float64Array(unitCount);
  for (let group = 0; group < groupCount; group++) {
    const from = starts[group] as number;
    const to = starts[group + 1] as number;
    const value = measure({
      length: to - from,
      label: (i) => observed.labels[order[from + i] as number] as number,
      tieEnd: (i) => {
        let end = from + i + 1;
        while (end < to && scores[order[end] as number] === scores[order[from + i] as number])
          end++;
        return end - from;
      },
    });
    if (Number.isNaN(value)) continue;
    const unit = unitOf[group] as number;
    sums[unit] = (sums[unit] as number) + value;
    counts[unit] = (counts[unit] as number) + 1;
  }
  const value = (unitWeights?: Float64Array): number => {
    let [sum, count] = [0, 0];
    for (let unit = 0; unit < unitCount; unit++) {
      const times = unitWeights === undefined ? 1 : (unitWeights[unit] as number);
      sum += times * (sums[unit] as number);
      count += times * (counts[unit] as number);
    }
    return count > 0 ? sum / count : Number.NaN;
  };
  return { unitCount, value };
}
