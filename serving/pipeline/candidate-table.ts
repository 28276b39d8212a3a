import {
  type Column,
  emptyLike,
  type NumberColumn,
  type TextColumn,
  takeItems,
  takeNumbers,
} from "./column.ts";
import { LazyColumns } from "./lazy-columns.ts";

/** Row-major `[n, width]`: a model's features (float32, NaN = missing) or its id buckets (int32, 0 = missing). */
export interface Matrix {
  readonly width: number;
  readonly values: Float32Array | Int32Array;
}

/** The candidates of one request as columns: row `i` of everything here is candidate `i`. Never changed in place. */
export interface CandidateTable {
  readonly n: number;
  readonly postIds: readonly string[];
  readonly authorIds: readonly string[];
  /** Index into `sourceNames` of the source that brought the row. */
  readonly source: Uint8Array;
  readonly sourceNames: readonly string[];
  /** Index of the row in the request's record, where dropped candidates keep their place. */
  readonly origin: Int32Array;
  /** What the source had of each row in hand, so that nobody looks it up again; undefined where it gave nothing. */
  readonly inHand?: readonly unknown[];
  readonly columns: ReadonlyMap<string, Column>;
  readonly matrices: ReadonlyMap<string, Matrix>;
  /** What rows are ordered by; NaN until a scorer gives one. */
  readonly score: Float64Array;
}

/** @throws TypeError when the column holds text. */
export function numberColumn(table: CandidateTable, name: string): NumberColumn | undefined {
  const column = table.columns.get(name);
  if (Array.isArray(column)) throw new TypeError(`column ${name} holds text, not numbers`);
  return column as NumberColumn | undefined;
}

/** @throws TypeError when the column holds numbers. */
export function textColumn(table: CandidateTable, name: string): TextColumn | undefined {
  const column = table.columns.get(name);
  if (column !== undefined && !Array.isArray(column))
    throw new TypeError(`column ${name} holds numbers, not text`);
  return column as TextColumn | undefined;
}

/** The number in a cell; NaN when the column is absent. */
export function numberAt(column: NumberColumn | undefined, row: number): number {
  return column === undefined ? Number.NaN : (column[row] as number);
}

/** The text in a cell; `""` when the column is absent. */
export function textAt(column: TextColumn | undefined, row: number): string {
  return column === undefined ? "" : (column[row] as string);
}

/** A table of these rows only, in this order. */
export function takeRows(table: CandidateTable, rows: Int32Array): CandidateTable {
  const matrices = new Map<string, Matrix>();
  for (const [name, matrix] of table.matrices) matrices.set(name, takeMatrix(matrix, rows));
  return {
    n: rows.length,
    postIds: takeItems(table.postIds, rows),
    authorIds: takeItems(table.authorIds, rows),
    source: takeNumbers(table.source, rows),
    sourceNames: table.sourceNames,
    origin: takeNumbers(table.origin, rows),
    ...(table.inHand && { inHand: takeItems(table.inHand, rows) }),
    columns: LazyColumns.take(table.columns, rows),
    matrices,
    score: takeNumbers(table.score, rows),
  };
}

function takeMatrix({ width, values }: Matrix, rows: Int32Array): Matrix {
  const taken = emptyLike(values, rows.length * width);
  for (let i = 0; i < rows.length; i++) {
    const from = (rows[i] as number) * width;
    taken.set(values.subarray(from, from + width), i * width);
  }
  return { width, values: taken };
}
