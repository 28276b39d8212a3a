import { descendingOrder } from "./score-order.ts";
import type { ObservedRows } from "./scored-rows.ts";

/** Bits of `RankedRows.marks`. */
export const POSITIVE = 1;
export const TIE_END = 2;

/** Binary rows in descending order of score: one linear pass then evaluates a ranking metric under any unit weights. */
export interface RankedRows {
  readonly n: number;
  /** POSITIVE where the label is 1; TIE_END on the last row of each run of equal scores. */
  readonly marks: Uint8Array;
  readonly units: Int32Array;
  readonly weights: Float64Array | undefined;
}

/** Sorts `rows` by score; with `grouped`, by group first, and a group's last row ends a tie. */
export function rankRows(
  rows: ObservedRows,
  grouped?: { readonly groups: Int32Array; readonly order: Uint32Array },
): RankedRows {
  const { n, scores } = rows;
  const order = grouped?.order ?? descendingOrder(scores);
  const marks = new Uint8Array(n);
  const units = new Int32Array(n);
  const weights = rows.weights && new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const row = order[i] as number;
    const next = order[i + 1];
    const tied =
      next !== undefined &&
      scores[next] === scores[row] &&
      grouped?.groups[next] === grouped?.groups[row];
    marks[i] = (rows.labels[row] === 1 ? POSITIVE : 0) | (tied ? 0 : TIE_END);
    units[i] = rows.units[row] as number;
    if (weights !== undefined) weights[i] = rows.weights?.[row] as number;
  }
  return { n, marks, units, weights };
}
