/** Shape of an HNSW graph. Source: Malkov and Yashunin (2018), §4: M links a node, candidates while building. */
export interface HnswSettings {
  readonly dimension: number;
  /** Links a node and layer. */
  readonly links: number;
  /** Candidates looked at while adding. */
  readonly buildCandidates: number;
  /** Deleted nodes over live ones from which on the graph is built anew. */
  readonly rebuildShare: number;
}

export type HnswWork =
  | { readonly kind: "add"; readonly labels: Int32Array; readonly vectors: Float32Array }
  | { readonly kind: "remove"; readonly labels: Int32Array }
  /** `candidates`: how many nodes a search keeps in view, at least k. */
  | {
      readonly kind: "search";
      readonly query: Float32Array;
      readonly k: number;
      readonly candidates: number;
    }
  | { readonly kind: "save"; readonly path: string }
  | { readonly kind: "load"; readonly path: string; readonly live: Int32Array }
  | { readonly kind: "facts" };

/** Labels and dot products, best first. */
export interface HnswFound {
  readonly labels: Int32Array;
  readonly scores: Float32Array;
}

export interface HnswFacts {
  readonly live: number;
  readonly deleted: number;
  readonly capacity: number;
  /** Graphs that took another's place. */
  readonly rebuilds: number;
}

export interface HnswRequest {
  readonly id: number;
  readonly work: HnswWork;
}
export type HnswReply =
  | { readonly kind: "ready" }
  | { readonly kind: "refused"; readonly detail: string }
  | {
      readonly kind: "done";
      readonly id: number;
      readonly found?: HnswFound;
      readonly facts?: HnswFacts;
    }
  | { readonly kind: "failed"; readonly id: number; readonly detail: string };
