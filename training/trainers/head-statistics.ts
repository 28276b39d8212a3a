import { HEAD_BY_NAME } from "../../datasets/heads.ts";
import { RoostError } from "../../errors.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { AMOUNT_CAP, AMOUNT_UNIT, type HeadKind } from "../models/multi-head-loss.ts";

/** What the labels of one head look like. */
export interface HeadStatistics {
  readonly name: string;
  readonly kind: HeadKind;
  /** Rows whose label is observable (not NaN). */
  readonly observed: number;
  /** Rows with a positive label. */
  readonly positives: number;
  /** Weighted mean of the label over observed rows: a rate, or seconds (capped). NaN when nothing is observed. */
  readonly mean: number;
}

/** The head's kind. @throws BAD_DATASET for a name that the head table lacks. */
export function headKind(name: string): HeadKind {
  const head = HEAD_BY_NAME.get(name);
  if (!head) throw new RoostError("BAD_DATASET", `the rows have an unknown head ${name}`);
  return head.kind;
}

export function headStatistics(rows: TrainingRows): HeadStatistics[] {
  const heads = rows.headNames.length;
  return rows.headNames.map((name, h) => {
    const kind = headKind(name);
    let [observed, positives, weights, sum] = [0, 0, 0, 0];
    for (let row = 0; row < rows.n; row++) {
      const label = rows.labels[row * heads + h] as number;
      if (Number.isNaN(label)) continue;
      const weight = rows.weight[row] as number;
      observed++;
      if (label > 0) positives++;
      weights += weight;
      sum += weight * (kind === "continuous" ? Math.min(label, AMOUNT_CAP) : label);
    }
    return { name, kind, observed, positives, mean: sum / weights };
  });
}

/** The constant raw output that fits a head best: log-odds of its rate, or ln of its mean amount in AMOUNT_UNIT. */
export function startingLogit({ kind, mean, positives }: HeadStatistics): number {
  if (positives === 0) return kind === "binary" ? -12 : 0;
  if (kind === "continuous") return Math.log(mean / AMOUNT_UNIT);
  const rate = Math.min(Math.max(mean, 1e-6), 1 - 1e-6);
  return Math.log(rate / (1 - rate));
}
