/** Float64s in a cache line. */
const LINE = 8;
/** Kept, so that the loop is not optimised away. */
const touched = { sum: 0 };

/**
 * Reads one number of each cache line of each vector. These loads do not depend on each other, so the processor waits for
 * many at once; computing row by row waits for each.
 */
export function touch(
  vectors: readonly (Float64Array | undefined)[],
  from: number,
  to: number,
): void {
  let sum = 0;
  for (let v = from; v < to; v++) {
    const vector = vectors[v];
    if (vector !== undefined)
      for (let i = 0; i < vector.length; i += LINE) sum += vector[i] as number;
  }
  touched.sum = sum;
}
