/** What an erasure has still to remove from Redis; takes its place in the data directory together with the erased files. */
export const UNFINISHED = "erasing.json";

export interface Unfinished {
  readonly redis_keys: readonly string[];
}
