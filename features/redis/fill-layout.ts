import { type PackedHeader, retoken } from "./packed-value.ts";
import { encodeDropping, encodeRedo, type RedoEntry } from "./redo-record.ts";

export type Batches = AsyncIterable<readonly RedoEntry[]> | Iterable<readonly RedoEntry[]>;

/** A whole state, packed, in an order that is always the same. */
export interface PackedState {
  /** Its checksum, 64 hex digits. */
  readonly id: string;
  readonly position: number;
  batches(): Batches;
}

export interface LayoutFilling {
  /** Owner's token and the state's position. */
  readonly header: PackedHeader;
  /** Vectors that an earlier owner wrote; 0 in a layout that was dropped. */
  readonly there: number;
  /** Of a state whose filling may be gone on with: how far it came is noted. */
  readonly id?: string;
  readonly onProgress?: (written: number) => void;
  /** Puts a record in the place of the layout's. */
  put(record: Buffer): Promise<void>;
  apply(batch: readonly RedoEntry[]): Promise<void>;
}

/**
 * Writes a whole state into a layout. Before the last vector is there the layout's record says that there is no state; how
 * far it came is noted behind the vectors that the note speaks of.
 * @returns vectors written
 */
export async function fillLayout(
  batches: Batches,
  { header, there, id, onProgress, put, apply }: LayoutFilling,
): Promise<number> {
  let written = 0;
  const note = (): Promise<void> =>
    put(encodeDropping(header, id === undefined ? undefined : { id, written }));
  if (there === 0) await note();
  for await (const batch of batches) {
    written += batch.length;
    if (written <= there) continue;
    for (const { value } of batch) retoken(value, header.token);
    await apply(batch);
    if (id === undefined) continue;
    await note();
    onProgress?.(written);
  }
  await put(encodeRedo([], header));
  return written - there;
}
