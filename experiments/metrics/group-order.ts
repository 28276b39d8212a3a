import { RoostError } from "../../errors.ts";
import type { ObservedRows } from "./scored-rows.ts";

/** Rows arranged by group: group g holds `order[starts[g]]` … `order[starts[g + 1] − 1]`. */
export interface GroupOrder {
  readonly order: Uint32Array;
  /** Length groupCount + 1. */
  readonly starts: Uint32Array;
}

/** Moves rows next to others of their group, keeping the order that `rows` has within a group. */
export function orderByGroup(
  rows: Uint32Array,
  groups: Int32Array,
  groupCount: number,
): GroupOrder {
  const starts = new Uint32Array(groupCount + 1);
  for (let i = 0; i < rows.length; i++) {
    const group = groups[rows[i] as number] as number;
    starts[group + 1] = (starts[group + 1] as number) + 1;
  }
  for (let group = 0; group < groupCount; group++) {
    starts[group + 1] = (starts[group + 1] as number) + (starts[group] as number);
  }
  const next = starts.slice();
  const order = new Uint32Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    const group = groups[row] as number;
    order[next[group] as number] = row;
    next[group] = (next[group] as number) + 1;
  }
  return { order, starts };
}

/**
 * The unit of each group, −1 for a group without rows.
 * @throws BAD_METRIC_INPUT when a group has rows of two units, which no resampling of units can honour
 */
export function unitOfGroup(rows: ObservedRows): Int32Array {
  const units = new Int32Array(rows.groupCount).fill(-1);
  for (let row = 0; row < rows.n; row++) {
    const group = (rows.groups as Int32Array)[row] as number;
    const unit = rows.units[row] as number;
    if (units[group] === -1) units[group] = unit;
    else if (units[group] !== unit) {
      throw new RoostError(
        "BAD_METRIC_INPUT",
        `group ${group} has rows of units ${units[group]} and ${unit}, must lie within one unit`,
      );
    }
  }
  return units;
}
