import { RoostError } from "../../errors.ts";
import { ExactIndex } from "./exact-index.ts";
import { HnswIndex, type HnswOptions } from "./hnsw-index.ts";
import { readIndex } from "./index-files.ts";
import type { VectorIndex } from "./vector-index.ts";

/**
 * An empty index: HNSW where hnswlib-node is installed, else the exact one.
 * @param onFallback told why HNSW cannot be used
 */
export async function openIndex(
  dimension: number,
  onFallback: (reason: string) => void,
  options: HnswOptions = {},
): Promise<VectorIndex> {
  try {
    return await HnswIndex.open(dimension, options);
  } catch (error) {
    if (!(error instanceof RoostError)) throw error;
    onFallback(error.detail);
    return new ExactIndex(dimension);
  }
}

/**
 * The index saved in `dir`, of vectors that are `about` the same thing.
 * @throws BAD_INDEX when there is none, it is damaged, or it is about something else
 * @throws NOT_READY when it is an HNSW index and hnswlib-node is not installed
 */
export async function loadIndex(
  dir: string,
  about: Readonly<Record<string, string>>,
  options: HnswOptions = {},
): Promise<VectorIndex> {
  const { manifest } = await readIndex(dir);
  for (const [name, wanted] of Object.entries(about))
    if (manifest.about[name] !== wanted)
      throw new RoostError(
        "BAD_INDEX",
        `${dir} holds vectors of ${name} ${manifest.about[name]}, not ${wanted}`,
      );
  return manifest.kind === "hnsw" ? HnswIndex.load(dir, options) : ExactIndex.load(dir);
}
