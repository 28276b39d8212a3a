/** One value per row. Float columns: NaN = missing. Integer columns cannot say missing: use them for what is always known. */
export type NumberColumn = Float64Array | Float32Array | Int32Array | Uint32Array | Uint8Array;
/** One text per row, `""` = missing. */
export type TextColumn = readonly string[];
export type Column = NumberColumn | TextColumn;

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
  const columns = new Map<string, Column>();
  for (const [name, column] of table.columns) columns.set(name, takeColumn(column, rows));
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
    columns,
    matrices,
    score: takeNumbers(table.score, rows),
  };
}

function takeColumn(column: Column, rows: Int32Array): Column {
  return Array.isArray(column)
    ? takeItems(column as TextColumn, rows)
    : takeNumbers(column as NumberColumn, rows);
}

/** The items of these rows. */
export function takeItems<T>(items: readonly T[], rows: Int32Array): T[] {
  const taken = new Array<T>(rows.length);
  for (let i = 0; i < rows.length; i++) taken[i] = items[rows[i] as number] as T;
  return taken;
}

/** The numbers of these rows, in an array of the same kind. */
export function takeNumbers<T extends NumberColumn>(numbers: T, rows: Int32Array): T {
  const taken = emptyLike(numbers, rows.length);
  for (let i = 0; i < rows.length; i++) taken[i] = numbers[rows[i] as number] as number;
  return taken;
}

function takeMatrix({ width, values }: Matrix, rows: Int32Array): Matrix {
  const taken = emptyLike(values, rows.length * width);
  for (let i = 0; i < rows.length; i++) {
    const from = (rows[i] as number) * width;
    taken.set(values.subarray(from, from + width), i * width);
  }
  return { width, values: taken };
}

/** An array of the same kind, zeroed. */
export function emptyLike<T extends NumberColumn>(numbers: T, length: number): T {
  return new (numbers.constructor as new (length: number) => T)(length);
}

/** A column of the same kind with every value missing (0 where the kind has no NaN). */
export function missingLike(column: Column, length: number): NumberColumn | string[] {
  if (Array.isArray(column)) return new Array<string>(length).fill("");
  const empty = emptyLike(column as NumberColumn, length);
  return empty instanceof Float64Array || empty instanceof Float32Array
    ? empty.fill(Number.NaN)
    : empty;
}
