import { RoostError } from "../../errors.ts";
import type { TrainingRows } from "../../features/rows.ts";

/**
 * Positions of `names` in the rows' features.
 * @throws BAD_DATASET naming the features that the rows lack.
 */
export function featureColumns(rows: TrainingRows, names: readonly string[]): number[] {
  const position = new Map(rows.featureNames.map((name, i) => [name, i]));
  const absent = names.filter((name) => !position.has(name));
  if (absent.length > 0)
    throw new RoostError("BAD_DATASET", `the rows lack the features ${absent.join(", ")}`);
  return names.map((name) => position.get(name) as number);
}

/** Copies the given columns of one row into `out[at…]`. `whole` says that they are all columns in order. */
export function copyFeatures(
  rows: TrainingRows,
  row: number,
  columns: readonly number[],
  whole: boolean,
  out: Float32Array,
  at: number,
): void {
  const d = rows.featureNames.length;
  const from = row * d;
  if (whole) out.set(rows.features.subarray(from, from + d), at);
  else
    for (let c = 0; c < columns.length; c++)
      out[at + c] = rows.features[from + (columns[c] as number)] as number;
}

/** Whether `columns` are all of the rows' columns in order, so that rows can be copied whole. */
export function isWhole(rows: TrainingRows, columns: readonly number[]): boolean {
  return columns.length === rows.featureNames.length && columns.every((column, i) => column === i);
}
