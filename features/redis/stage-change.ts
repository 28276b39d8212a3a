import type { Entity, StateEditor } from "../entities.ts";
import { StagedState } from "../memory-store.ts";

export interface EntityKey {
  readonly entity: Entity;
  readonly key: string;
}

/** What is known of a key: its vector, or that it has none. */
export interface HeldVector {
  readonly vector: Float64Array | undefined;
}

/** State of which only a part is at hand. */
export interface PartialState {
  /** Undefined when it is not known here. */
  held(entity: Entity, key: string): HeldVector | undefined;
  fetch(wanted: readonly EntityKey[]): Promise<HeldVector[]>;
  /** Every key of an entity. */
  list(entity: Entity): Promise<readonly string[]>;
}

/**
 * Runs a synchronous change on state that is elsewhere: what it looked at and is not here is fetched, and it runs again on
 * fresh copies, until nothing was missing. What it looks at depends on what it found, so this takes a few rounds at first.
 * @throws what `change` throws when it has all that it looks at
 */
export async function stageChange(
  change: (state: StateEditor) => void,
  state: PartialState,
): Promise<StagedState> {
  // Kept here too: a small cache may have forgotten by the next run what was fetched for it.
  const fetched = new Map<Entity, Map<string, HeldVector>>();
  const listed = new Map<Entity, readonly string[]>();
  for (;;) {
    const missing = new Map<Entity, Set<string>>();
    const unlisted = new Set<Entity>();
    const staged = new StagedState(
      {
        get: (entity, key) => {
          const held = fetched.get(entity)?.get(key) ?? state.held(entity, key);
          if (held !== undefined) return held.vector;
          const keys = missing.get(entity);
          if (keys === undefined) missing.set(entity, new Set([key]));
          else keys.add(key);
          return undefined;
        },
      },
      (entity) => {
        const keys = listed.get(entity);
        if (keys === undefined) unlisted.add(entity);
        return keys ?? [];
      },
    );
    let failure: { readonly error: unknown } | undefined;
    try {
      change(staged);
    } catch (error) {
      failure = { error };
    }
    if (missing.size === 0 && unlisted.size === 0) {
      if (failure !== undefined) throw failure.error;
      return staged;
    }
    // A failure may come of what was missing: the next run tells.
    for (const entity of unlisted) listed.set(entity, await state.list(entity));
    const wanted = Array.from(missing, ([entity, keys]) =>
      Array.from(keys, (key) => ({ entity, key })),
    ).flat();
    const held = await state.fetch(wanted);
    for (let i = 0; i < wanted.length; i++) {
      const { entity, key } = wanted[i] as EntityKey;
      const vectors = fetched.get(entity) ?? new Map<string, HeldVector>();
      vectors.set(key, held[i] as HeldVector);
      fetched.set(entity, vectors);
    }
  }
}
