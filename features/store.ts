import type { StateEditor, StateView } from "./entities.ts";

/**
 * Online feature state: one packed vector per entity and the log position that all of them together reflect.
 * Implementations pass `store.contract.ts`; the memory store is the oracle.
 */
export interface FeatureStore extends StateView {
  /** Sequence of the last log record applied; 0 when empty. */
  readonly position: number;
  /**
   * Applies a change to many vectors and moves the position, all or nothing, and makes both readable together.
   * `change` runs synchronously; when it throws, nothing is changed.
   */
  transaction(position: number, change: (state: StateEditor) => void): Promise<void>;
  close(): Promise<void>;
}
