/** Numbers in a cache line. */
const DOUBLES = 8;
const FLOATS = 16;
/** Kept, so that the loops are not optimised away. */
const touched = { sum: 0 };

/**
 * Reads one number of each cache line of each vector. These loads do not depend on each other, so the processor waits for
 * many at once; computing row by row waits for each.
 */
export function touch(vectors: readonly (Float64Array | undefined)[]): void {
  let sum = 0;
  for (let v = 0; v < vectors.length; v++) {
    const vector = vectors[v];
    if (vector !== undefined)
      for (let i = 0; i < vector.length; i += DOUBLES) sum += vector[i] as number;
  }
  touched.sum = sum;
}

/** The same for rows that were kept. */
export function touchRows(rows: readonly Float32Array[]): void {
  let sum = 0;
  for (let r = 0; r < rows.length; r++) {
    const row = rows[r] as Float32Array;
    for (let i = 0; i < row.length; i += FLOATS) sum += row[i] as number;
  }
  touched.sum = sum;
}
