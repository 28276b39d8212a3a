/** One value per row. Float columns: NaN = missing. Integer columns cannot say missing: use them for what is always known. */
export type NumberColumn = Float64Array | Float32Array | Int32Array | Uint32Array | Uint8Array;
/** One text per row, `""` = missing. */
export type TextColumn = readonly string[];
export type Column = NumberColumn | TextColumn;

/** The cells of these rows. */
export function takeColumn(column: Column, rows: Int32Array): Column {
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
