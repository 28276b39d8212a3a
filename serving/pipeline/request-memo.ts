import type { StoredPost } from "../../candidates/post-store.ts";
import type { Entity, StateView } from "../../features/entities.ts";

/** What components of one request have looked up and later ones would look up again, in tables too large for a cache. */
export class RequestMemo {
  /** Posts that a source had in hand. */
  readonly posts = new Map<string, StoredPost>();
  #vectors: { position: number; view: MemoizedView } | undefined;

  /** A view of the feature store that remembers what was read while the store stands at `position`. */
  vectors(store: StateView, position: number | undefined): StateView {
    if (position === undefined) return store;
    if (this.#vectors?.position !== position)
      this.#vectors = { position, view: new MemoizedView(store) };
    return this.#vectors.view;
  }

  clear(): void {
    this.posts.clear();
    this.#vectors = undefined;
  }
}

/** Entities of which a request reads hundreds, in both of its stages. */
type Remembered = Extract<Entity, "post" | "author" | "user_author">;

class MemoizedView implements StateView {
  readonly #store: StateView;
  readonly #known: Record<Remembered, Map<string, Float64Array | null>> = {
    post: new Map(),
    author: new Map(),
    user_author: new Map(),
  };

  constructor(store: StateView) {
    this.#store = store;
  }

  get(entity: Entity, key: string): Float64Array | undefined {
    if (entity !== "post" && entity !== "author" && entity !== "user_author")
      return this.#store.get(entity, key);
    const known = this.#known[entity];
    const held = known.get(key);
    if (held !== undefined) return held ?? undefined;
    const vector = this.#store.get(entity, key);
    known.set(key, vector ?? null);
    return vector;
  }
}
