/** What a session worker is started with. */
export interface SessionSettings {
  readonly model: Uint8Array;
  /** Threads of one run. */
  readonly threads: number;
}

/**
 * Memory that both threads see, each part with room for as many rows as were ever run: handing buffers over would cost a
 * new one a run, and slow down every array of the thread that gives them away.
 */
export interface SharedRows {
  /** Row-major [n, d] float32. */
  readonly features: Float32Array<SharedArrayBuffer>;
  /** Row-major [n, k] int32. */
  readonly ids: Int32Array<SharedArrayBuffer>;
  /** Row-major [n, heads] float32, written by the worker. */
  readonly outputs: Float32Array<SharedArrayBuffer>;
}

/** Asks the worker to end: one that is ended from outside in the middle of native code can take the process with it. */
export const END = "end";

/** One run over the first n rows, answered before the next is asked for. */
export interface RunRows {
  readonly n: number;
  /** Features and ids of a row. */
  readonly d: number;
  readonly k: number;
  /** Memory to use from now on; absent = as before. */
  readonly rows?: SharedRows;
}

export type ToWorker = RunRows | typeof END;

export type FromWorker =
  | {
      readonly kind: "ready";
      readonly inputs: readonly string[];
      readonly outputs: readonly string[];
    }
  | { readonly kind: "refused"; readonly detail: string }
  /** The outputs are in the shared memory; `length` = how many the model gave, which may be more than have room. */
  | { readonly kind: "outputs"; readonly length: number }
  | { readonly kind: "failed"; readonly detail: string };
