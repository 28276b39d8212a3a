import { RoostError } from "../../errors.ts";
import type { ScoreColumn } from "./score-order.ts";

export type LabelColumn = Float32Array | Float64Array | Uint8Array | Int32Array;

/** What every metric reads: columns aligned by row. */
export interface ScoredRows {
  /** Any real number for ranking metrics, a probability in 0–1 for log loss and calibration; never NaN. */
  readonly scores: ScoreColumn;
  /** 0 or 1 (an amount ≥ 0 for NDCG); NaN = not observable: the row is left out. */
  readonly labels: LabelColumn;
  /** Importance of each row, finite and ≥ 0; 1 when absent. */
  readonly weights?: ScoreColumn;
  /** Dense index (0 …) of the list or user that a row belongs to, for metrics computed per group. */
  readonly groups?: Int32Array;
  /** Dense index (0 …) of what the bootstrap resamples, the user. When absent: the groups, else each row. */
  readonly units?: Int32Array;
}

/** Checked rows without the masked ones. `unitCount` and `groupCount` still count units and groups that lost all rows. */
export interface ObservedRows {
  readonly n: number;
  readonly scores: ScoreColumn;
  readonly labels: Float64Array;
  readonly weights: Float64Array | undefined;
  readonly groups: Int32Array | undefined;
  readonly groupCount: number;
  readonly units: Int32Array;
  readonly unitCount: number;
}

export interface RowRules {
  readonly scores: "real" | "probability";
  readonly labels: "binary" | "amount";
  readonly needsGroups?: boolean;
}

/**
 * Checks `rows` and drops those with a NaN label.
 * @throws COLUMN_LENGTH when columns differ in length
 * @throws BAD_METRIC_INPUT for a NaN or out-of-range score, label, weight, or a negative index, naming column and row
 */
export function observedRows(rows: ScoredRows, rules: RowRules): ObservedRows {
  const total = rows.labels.length;
  for (const name of ["scores", "weights", "groups", "units"] as const) {
    const column = rows[name];
    if (column !== undefined && column.length !== total) {
      throw new RoostError("COLUMN_LENGTH", `${name} has ${column.length}, labels ${total} rows`);
    }
  }
  if (rules.needsGroups && rows.groups === undefined) {
    throw new RoostError("BAD_METRIC_INPUT", "groups is missing; give each row's list or user");
  }
  let kept = 0;
  for (let row = 0; row < total; row++) if (!Number.isNaN(rows.labels[row])) kept++;

  const scores =
    rows.scores instanceof Float32Array ? new Float32Array(kept) : new Float64Array(kept);
  const labels = new Float64Array(kept);
  const weights = rows.weights && new Float64Array(kept);
  const groups = rows.groups && new Int32Array(kept);
  const units = new Int32Array(kept);
  let [at, groupCount, unitCount] = [0, 0, 0];
  for (let row = 0; row < total; row++) {
    const unit = (rows.units ?? rows.groups)?.[row] ?? row;
    const group = rows.groups?.[row] ?? 0;
    if (group < 0) refuse("groups", row, group, "a dense index from 0");
    if (unit < 0) refuse("units", row, unit, "a dense index from 0");
    if (unit >= unitCount) unitCount = unit + 1;
    if (group >= groupCount) groupCount = group + 1;

    const label = rows.labels[row] as number;
    if (Number.isNaN(label)) continue;
    if (rules.labels === "binary" && label !== 0 && label !== 1) {
      refuse("labels", row, label, "0, 1 or NaN");
    }
    if (!(label >= 0 && label < Number.POSITIVE_INFINITY)) {
      refuse("labels", row, label, "a finite amount ≥ 0 or NaN");
    }
    const score = rows.scores[row] as number;
    if (Number.isNaN(score)) refuse("scores", row, score, "a number");
    if (rules.scores === "probability" && (score < 0 || score > 1)) {
      refuse("scores", row, score, "a probability in 0–1");
    }
    if (weights !== undefined) {
      const weight = rows.weights?.[row] as number;
      if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
        refuse("weights", row, weight, "finite and ≥ 0");
      }
      weights[at] = weight;
    }
    scores[at] = score;
    labels[at] = label;
    units[at] = unit;
    if (groups !== undefined) groups[at] = group;
    at++;
  }
  return { n: kept, scores, labels, weights, groups, groupCount, units, unitCount };
}

function refuse(column: string, row: number, value: number, rule: string): never {
  throw new RoostError("BAD_METRIC_INPUT", `${column}[${row}] is ${value}, must be ${rule}`);
}
