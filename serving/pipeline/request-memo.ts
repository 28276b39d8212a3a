import type { Entity, StateView } from "../../features/entities.ts";
import type { KeptRows } from "../../features/kept-rows.ts";
import { type AuthorVectors, SharedReads } from "../../features/shared-reads.ts";

/** What one request has read of the feature store, for its later stages: the store is too large for the processor's cache. */
export class RequestMemo {
  #reads: Reads | undefined;
  #loaded: Promise<LoadedReads> | undefined;

  /** What was read of the feature store, as long as it stands at `position`; undefined = a store without positions. */
  reads(store: StateView, position: number | undefined): Reads {
    if (position === undefined) return newReads(0, store);
    if (this.#reads?.position !== position)
      this.#reads = newReads(position, new AuthorsRemembered(store));
    return this.#reads;
  }

  /**
   * What was fetched for the candidates of the first stage that asks: later stages rank some of the same.
   * @param origins places in the record of the candidates that `load` asks about
   */
  loaded(
    load: () => Promise<LoadedState>,
    origins: Readonly<Int32Array>,
    position: number,
  ): Promise<LoadedReads> {
    this.#loaded ??= load().then((state) => {
      const reads = newReads(position, state, new SharedReads(state.authors));
      state.posts.forEach((vector, i) => {
        reads.posts[origins[i] as number] = vector ?? null;
        reads.kept[origins[i] as number] = state.kept[i];
      });
      return { ...reads, degraded: state.degraded };
    });
    return this.#loaded;
  }
}

/** State that was fetched from elsewhere. */
export interface LoadedState extends StateView {
  /** A part could not be fetched: it is missing, or as it was a while ago. */
  readonly degraded: boolean;
  /** Of the posts that were asked about, in their order. */
  readonly posts: readonly (Float64Array | undefined)[];
  /** What is kept of their features. */
  readonly kept: readonly (KeptRows | undefined)[];
  /** Authors that were asked about. */
  readonly authors: Map<string, AuthorVectors>;
}

export interface LoadedReads extends Reads {
  readonly degraded: boolean;
}

export interface Reads {
  readonly position: number;
  readonly view: StateView;
  /** What the stages' feature readers share. */
  readonly shared: SharedReads;
  /** By the candidate's place in the record: its post's vector, null = none is kept; holes are not read yet. */
  readonly posts: (Float64Array | null | undefined)[];
  /** Likewise: what is kept of the post's features. */
  readonly kept: (KeptRows | undefined)[];
}

const newReads = (position: number, view: StateView, shared = new SharedReads()): Reads => ({
  position,
  view,
  shared,
  posts: [],
  kept: [],
});

/** A store whose authors are looked up once: those that the viewer follows are also the candidates'. */
class AuthorsRemembered implements StateView {
  readonly #store: StateView;
  readonly #authors = new Map<string, Float64Array | null>();
  declare readonly cell?: NonNullable<StateView["cell"]>;

  constructor(store: StateView) {
    this.#store = store;
    if (store.cell) this.cell = store.cell.bind(store);
  }

  get(entity: Entity, key: string): Float64Array | undefined {
    if (entity !== "author") return this.#store.get(entity, key);
    const held = this.#authors.get(key);
    if (held !== undefined) return held ?? undefined;
    const vector = this.#store.get(entity, key);
    this.#authors.set(key, vector ?? null);
    return vector;
  }
}
