import { RoostError } from "../../errors.ts";
import { prepareListMean, type RankedList } from "./list-mean.ts";
import type { Metric } from "./metric.ts";
import type { ScoredRows } from "./scored-rows.ts";

/**
 * Recall@k, the mean over lists (`groups`) of the share of a list's positives among its k best scores. A run of equal
 * scores cut by rank k counts its expectation under random tie-breaking. Lists without positives are left out; NaN when
 * none is left.
 * @throws COLUMN_LENGTH; BAD_METRIC_INPUT also for missing groups, weights, or k that is no positive integer
 */
export function recallAtK(rows: ScoredRows, k: number): number {
  return recallMetric(k).prepare(rows).value();
}

export function recallMetric(k: number): Metric {
  return {
    name: `recall@${k}`,
    better: "higher",
    prepare: (rows) => prepareListMean(rows, k, "binary", (list) => recall(list, k)),
  };
}

/**
 * Recall@k of retrieved ids, best first, against the relevant ones: NaN when nothing is relevant. Repeats count once.
 * @throws BAD_METRIC_INPUT when k is no positive integer
 */
export function recallOfIds(
  retrieved: readonly string[],
  relevant: ReadonlySet<string>,
  k: number,
): number {
  if (!Number.isInteger(k) || k < 1) {
    throw new RoostError("BAD_METRIC_INPUT", `k is ${k}, must be an integer ≥ 1`);
  }
  if (relevant.size === 0) return Number.NaN;
  let hits = 0;
  for (const id of new Set(retrieved.slice(0, k))) if (relevant.has(id)) hits++;
  return hits / relevant.size;
}

function recall(list: RankedList, k: number): number {
  let [positives, hits] = [0, 0];
  for (let start = 0; start < list.length; ) {
    const end = list.tieEnd(start);
    let runPositives = 0;
    for (let i = start; i < end; i++) runPositives += list.label(i);
    const places = Math.min(end, k) - start;
    if (places > 0) hits += (runPositives * places) / (end - start);
    positives += runPositives;
    start = end;
  }
  return positives > 0 ? hits / positives : Number.NaN;
}
