import { aucMetric } from "./auc.ts";
import { groupedAucMetric } from "./grouped-auc.ts";
import { logLossMetric } from "./log-loss.ts";
import type { Metric } from "./metric.ts";
import { normalizedEntropyMetric } from "./normalized-entropy.ts";
import { prAucMetric } from "./pr-auc.ts";
import { rceMetric } from "./rce.ts";

/** The metrics of a binary head, in the order in which reports show them. */
export const BINARY_HEAD_METRICS: readonly Metric[] = [
  aucMetric,
  groupedAucMetric,
  prAucMetric,
  logLossMetric,
  normalizedEntropyMetric,
  rceMetric(),
];
