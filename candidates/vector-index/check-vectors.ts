import { RoostError } from "../../errors.ts";

/** @throws BAD_ARGUMENT unless `vectors` is [rows, dimension] of finite numbers */
export function checkVectors(vectors: Float32Array, rows: number, dimension: number): void {
  if (vectors.length !== rows * dimension)
    throw new RoostError(
      "BAD_ARGUMENT",
      `${vectors.length} numbers are not ${rows} vectors of ${dimension}`,
    );
  for (let i = 0; i < vectors.length; i++)
    if (!Number.isFinite(vectors[i]))
      throw new RoostError(
        "BAD_ARGUMENT",
        `vector ${Math.floor(i / dimension)} holds ${vectors[i]} at ${i % dimension}`,
      );
}
