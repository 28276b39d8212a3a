/** What a session worker is started with. */
export interface SessionSettings {
  readonly model: Uint8Array;
  /** Threads of one run. */
  readonly threads: number;
}

/** One run, answered before the next is asked for: `features` [n, d], `ids` [n, k], both handed over. */
export interface ToWorker {
  readonly n: number;
  readonly features: Float32Array<ArrayBuffer>;
  readonly ids: Int32Array<ArrayBuffer>;
}

export type FromWorker =
  | {
      readonly kind: "ready";
      readonly inputs: readonly string[];
      readonly outputs: readonly string[];
    }
  | { readonly kind: "refused"; readonly detail: string }
  | { readonly kind: "outputs"; readonly outputs: Float32Array }
  | { readonly kind: "failed"; readonly detail: string };
