import { rankedAuc } from "./auc.ts";
import { orderByGroup, unitOfGroup } from "./group-order.ts";
import type { Metric } from "./metric.ts";
import { rankRows } from "./ranked-rows.ts";
import { descendingOrder } from "./score-order.ts";
import { type ObservedRows, observedRows, type ScoredRows } from "./scored-rows.ts";

export interface GroupedAuc {
  /** Mean of the groups' AUCs, each weighted by its impressions (row weights). NaN when no group has both classes. */
  readonly value: number;
  /** Groups with both classes. */
  readonly groups: number;
  /** Share of all impressions (row weights) that lie in those groups, 0–1. */
  readonly impressionShare: number;
}

/**
 * GAUC: AUC within each group (user, request), averaged with impressions as weights. Groups with one class are left out.
 * @throws COLUMN_LENGTH, BAD_METRIC_INPUT
 * Source: Zhou et al. (2018), "Deep Interest Network for Click-Through Rate Prediction", equation 6.
 */
export function groupedAuc(rows: ScoredRows): GroupedAuc {
  const observed = observedRows(rows, RULES);
  const perGroup = aucPerGroup(observed);
  let [groups, used, all] = [0, 0, 0];
  for (let group = 0; group < observed.groupCount; group++) {
    const impressions = perGroup.impressions[group] as number;
    all += impressions;
    if (Number.isNaN(perGroup.auc[group])) continue;
    groups++;
    used += impressions;
  }
  return {
    value: weightedMean(perGroup),
    groups,
    impressionShare: all > 0 ? used / all : Number.NaN,
  };
}

/** GAUC for the bootstrap: each group must lie within one unit. */
export const groupedAucMetric: Metric = {
  name: "gauc",
  better: "higher",
  prepare(rows) {
    const observed = observedRows(rows, RULES);
    const perGroup = aucPerGroup(observed);
    return {
      unitCount: observed.unitCount,
      value: (unitWeights) => weightedMean(perGroup, unitWeights),
    };
  },
};

const RULES = { scores: "real", labels: "binary", needsGroups: true } as const;

interface PerGroup {
  /** NaN for a group with one class. */
  readonly auc: Float64Array;
  readonly impressions: Float64Array;
  /** The unit that each group belongs to, −1 for an empty group. */
  readonly units: Int32Array;
}

function aucPerGroup(rows: ObservedRows): PerGroup {
  const groups = rows.groups as Int32Array;
  const { order, starts } = orderByGroup(descendingOrder(rows.scores), groups, rows.groupCount);
  const ranked = rankRows(rows, { groups, order });
  const auc = new Float64Array(rows.groupCount);
  const impressions = new Float64Array(rows.groupCount);
  for (let group = 0; group < rows.groupCount; group++) {
    const [from, to] = [starts[group] as number, starts[group + 1] as number];
    auc[group] = rankedAuc(ranked, from, to);
    for (let i = from; i < to; i++) {
      impressions[group] = (impressions[group] as number) + (ranked.weights?.[i] ?? 1);
    }
  }
  return { auc, impressions, units: unitOfGroup(rows) };
}

function weightedMean({ auc, impressions, units }: PerGroup, unitWeights?: Float64Array): number {
  let [sum, total] = [0, 0];
  for (let group = 0; group < auc.length; group++) {
    const value = auc[group] as number;
    if (Number.isNaN(value)) continue;
    let weight = impressions[group] as number;
    if (unitWeights !== undefined) weight *= unitWeights[units[group] as number] as number;
    sum += weight * value;
    total += weight;
  }
  return total > 0 ? sum / total : Number.NaN;
}
