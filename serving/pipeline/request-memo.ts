import type { Entity, StateView } from "../../features/entities.ts";

/** What one request has read of the feature store, for its later stages: the store is too large for the processor's cache. */
export class RequestMemo {
  #vectors: Vectors | undefined;

  /** What was read of the feature store, as long as it stands at `position`; undefined = a store without positions. */
  vectors(store: StateView, position: number | undefined): Vectors {
    if (position === undefined) return { position: 0, view: store, posts: [] };
    if (this.#vectors?.position !== position)
      this.#vectors = { position, view: new MemoizedView(store), posts: [] };
    return this.#vectors;
  }
}

interface Vectors {
  readonly position: number;
  /** The store, remembering authors. */
  readonly view: StateView;
  /** By the candidate's place in the record: its post's vector, null = none is kept; holes are not read yet. */
  readonly posts: (Float64Array | null | undefined)[];
}

/** Entities that a request reads by the hundred, in both of its stages. */
type Remembered = Extract<Entity, "author" | "user_author">;

class MemoizedView implements StateView {
  readonly #store: StateView;
  readonly #known: Record<Remembered, Map<string, Float64Array | null>> = {
    author: new Map(),
    user_author: new Map(),
  };

  constructor(store: StateView) {
    this.#store = store;
  }

  get(entity: Entity, key: string): Float64Array | undefined {
    if (entity !== "author" && entity !== "user_author") return this.#store.get(entity, key);
    const known = this.#known[entity];
    const held = known.get(key);
    if (held !== undefined) return held ?? undefined;
    const vector = this.#store.get(entity, key);
    known.set(key, vector ?? null);
    return vector;
  }
}
