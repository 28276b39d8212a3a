import type { Entity } from "../entities.ts";
import type { FeatureKeys } from "./feature-keys.ts";
import { type PackedHeader, packValue } from "./packed-value.ts";
import type { RedoEntry } from "./redo-record.ts";

/** Vectors of some 0.5 KB that are on their way at once when a whole state is written. */
const BATCH = 4_000;

/** A state's vectors as they are stored, in batches and in the order given. */
export function* packBatches(
  entries: Iterable<readonly [Entity, string, Float64Array]>,
  keys: FeatureKeys,
  header: PackedHeader,
): Generator<readonly RedoEntry[]> {
  let batch: RedoEntry[] = [];
  for (const [entity, key, vector] of entries) {
    batch.push({ key: keys.of(entity, key), value: packValue(vector, header) });
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
