import { type Column, takeColumn } from "./column.ts";

/** Rows of a column that nobody has asked for yet. */
class Pending {
  readonly source: Column;
  readonly rows: Int32Array;
  #column: Column | undefined;

  constructor(source: Column, rows: Int32Array) {
    this.source = source;
    this.rows = rows;
  }

  get column(): Column {
    this.#column ??= takeColumn(this.source, this.rows);
    return this.#column;
  }
}

/**
 * Columns by name, of which those of chosen rows are copied when they are first read: after a cut most never are. Behaves
 * as a map of columns.
 */
export class LazyColumns implements ReadonlyMap<string, Column> {
  readonly #held: ReadonlyMap<string, Column | Pending>;

  private constructor(held: ReadonlyMap<string, Column | Pending>) {
    this.#held = held;
  }

  /** These columns and the added ones, which win. */
  static with(
    columns: ReadonlyMap<string, Column>,
    added: Iterable<readonly [string, Column]>,
  ): LazyColumns {
    const held = new Map<string, Column | Pending>(heldBy(columns));
    for (const [name, column] of added) held.set(name, column);
    return new LazyColumns(held);
  }

  /** These columns of the chosen rows, in that order. */
  static take(columns: ReadonlyMap<string, Column>, rows: Int32Array): LazyColumns {
    const held = new Map<string, Pending>();
    // Columns taken together before share their rows: these are worked out once.
    const chosen = new Map<Int32Array, Int32Array>();
    for (const [name, value] of heldBy(columns)) {
      if (value instanceof Pending) {
        let through = chosen.get(value.rows);
        if (through === undefined) {
          through = rows.map((row) => value.rows[row] as number);
          chosen.set(value.rows, through);
        }
        held.set(name, new Pending(value.source, through));
      } else {
        held.set(name, new Pending(value, rows));
      }
    }
    return new LazyColumns(held);
  }

  get size(): number {
    return this.#held.size;
  }

  get(name: string): Column | undefined {
    const value = this.#held.get(name);
    return value instanceof Pending ? value.column : value;
  }

  has(name: string): boolean {
    return this.#held.has(name);
  }

  keys(): MapIterator<string> {
    return this.#held.keys();
  }

  *entries(): MapIterator<[string, Column]> {
    for (const name of this.#held.keys()) yield [name, this.get(name) as Column];
  }

  *values(): MapIterator<Column> {
    for (const name of this.#held.keys()) yield this.get(name) as Column;
  }

  [Symbol.iterator](): MapIterator<[string, Column]> {
    return this.entries();
  }

  forEach(
    callback: (column: Column, name: string, columns: ReadonlyMap<string, Column>) => void,
  ): void {
    for (const [name, column] of this.entries()) callback(column, name, this);
  }

  /** What is held, without copying what is pending. */
  static held(columns: LazyColumns): ReadonlyMap<string, Column | Pending> {
    return columns.#held;
  }

  /** The names of the columns that are not the same in both, at the least those that `before` lacks. */
  static changed(
    before: ReadonlyMap<string, Column>,
    after: ReadonlyMap<string, Column>,
  ): string[] {
    const known = heldBy(before);
    return [...heldBy(after)].flatMap(([name, value]) => (known.get(name) === value ? [] : name));
  }
}

function heldBy(columns: ReadonlyMap<string, Column>): ReadonlyMap<string, Column | Pending> {
  return columns instanceof LazyColumns ? LazyColumns.held(columns) : columns;
}
