import { TOWER_TABLES, type TowerInputs, type TowerTable } from "./tower-inputs.ts";
import type { TowerRows } from "./tower-rows.ts";

/** Rows of each kind of id in the one table of embeddings. */
export type TowerBuckets = Readonly<Record<TowerTable, number>>;

/** Rows of the whole table; row 0 stands for "none" and stays 0. */
export const tableRows = (buckets: TowerBuckets): number =>
  TOWER_TABLES.reduce((sum, table) => sum + buckets[table], 1);

/** Where each bag entry of a tower finds its rows: first row and number of rows of its kind, by slot. */
export function slotTables(
  { bags }: TowerInputs,
  buckets: TowerBuckets,
): { first: Int32Array; size: Int32Array } {
  const firstOf = new Map<TowerTable, number>();
  let next = 1;
  for (const table of TOWER_TABLES) {
    firstOf.set(table, next);
    next += buckets[table];
  }
  const of = (value: (table: TowerTable) => number): Int32Array =>
    Int32Array.from(bags.flatMap(({ table, slots }) => Array(slots).fill(value(table))));
  return {
    first: of((table) => firstOf.get(table) as number),
    size: of((table) => buckets[table]),
  };
}

/**
 * The two rows of an id's hash in a table of `size` rows from `first` on, as `which` 0 or 1; row 0 for hash 0. Two ids
 * seldom share both rows. Source: Svenstrup, Hansen, Winther (2017), "Hash embeddings", with weights 1. Mixing step: the
 * finaliser of MurmurHash3.
 */
export function towerRow(hash: number, first: number, size: number, which: 0 | 1): number {
  if (hash === 0) return 0;
  let h = which === 0 ? hash : hash ^ 0x9e3779b9;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return first + (((h ^ (h >>> 16)) >>> 0) % size);
}

/** Rows [from, from + n) as a tower's model reads them: `features` [n, width + slots], `ids` [n, 2 · slots]. */
export function towerMatrices(
  rows: TowerRows,
  { first, size }: ReturnType<typeof slotTables>,
  from: number,
  n: number,
): { features: Float32Array; ids: Int32Array } {
  const { width, slots } = rows;
  const features = new Float32Array(n * (width + slots));
  const ids = new Int32Array(n * 2 * slots);
  for (let i = 0; i < n; i++) {
    const row = from + i;
    const at = i * (width + slots);
    features.set(rows.features.subarray(row * width, (row + 1) * width), at);
    features.set(rows.weights.subarray(row * slots, (row + 1) * slots), at + width);
    for (let s = 0; s < slots; s++) {
      const hash = rows.hashes[row * slots + s] as number;
      for (const which of [0, 1] as const)
        ids[(i * slots + s) * 2 + which] = towerRow(
          hash,
          first[s] as number,
          size[s] as number,
          which,
        );
    }
  }
  return { features, ids };
}
