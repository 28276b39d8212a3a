import { ENTITIES, type Entity, type StateEditor } from "./entities.ts";
import { SLOTS } from "./registry.ts";
import type { FeatureStore } from "./store.ts";

/** Vectors cut from one buffer: a buffer of its own for each costs more time and memory than its numbers. */
const VECTORS_PER_SLAB = 256;

class Vectors extends Map<string, Float64Array> {
  readonly #slots: number;
  #slab = new Float64Array(0);
  #used = 0;

  constructor(slots: number) {
    super();
    this.#slots = slots;
  }

  /** The vector of a key; zeros when it is new. */
  edit(key: string): Float64Array {
    const held = this.get(key);
    if (held !== undefined) return held;
    if (this.#used === this.#slab.length) {
      this.#slab = new Float64Array(VECTORS_PER_SLAB * this.#slots);
      this.#used = 0;
    }
    const vector = this.#slab.subarray(this.#used, this.#used + this.#slots);
    this.#used += this.#slots;
    this.set(key, vector);
    return vector;
  }
}

/** Feature state in maps that is changed in place: what replay walks the log with. */
export class MemoryState implements StateEditor {
  readonly #vectors = Object.fromEntries(
    ENTITIES.map((entity) => [entity, new Vectors(SLOTS[entity])]),
  ) as Readonly<Record<Entity, Vectors>>;

  get(entity: Entity, key: string): Float64Array | undefined {
    return this.#vectors[entity].get(key);
  }

  edit(entity: Entity, key: string): Float64Array {
    return this.#vectors[entity].edit(key);
  }

  set(entity: Entity, key: string, vector: Float64Array): void {
    this.#vectors[entity].set(key, vector);
  }

  delete(entity: Entity, key: string): void {
    this.#vectors[entity].delete(key);
  }

  keys(entity: Entity): Iterable<string> {
    return this.#vectors[entity].keys();
  }

  *entries(): Iterable<[Entity, string, Float64Array]> {
    for (const entity of ENTITIES)
      for (const [key, vector] of this.#vectors[entity]) yield [entity, key, vector];
  }
}

/** A transaction's view: vectors are copied when first edited, so that it can be dropped whole. */
export class StagedState implements StateEditor {
  readonly edited = new Map<Entity, Map<string, Float64Array | undefined>>();
  readonly #base: { get(entity: Entity, key: string): Float64Array | undefined };
  readonly #baseKeys: (entity: Entity) => Iterable<string>;

  constructor(
    base: { get(entity: Entity, key: string): Float64Array | undefined },
    baseKeys: (entity: Entity) => Iterable<string>,
  ) {
    this.#base = base;
    this.#baseKeys = baseKeys;
  }

  get(entity: Entity, key: string): Float64Array | undefined {
    const staged = this.edited.get(entity);
    if (staged?.has(key)) return staged.get(key);
    return this.#base.get(entity, key);
  }

  edit(entity: Entity, key: string): Float64Array {
    let staged = this.edited.get(entity);
    if (staged === undefined) {
      staged = new Map();
      this.edited.set(entity, staged);
    }
    const held = staged.get(key);
    if (held !== undefined) return held;
    const base = staged.has(key) ? undefined : this.#base.get(entity, key);
    const vector = base === undefined ? new Float64Array(SLOTS[entity]) : base.slice();
    staged.set(key, vector);
    return vector;
  }

  delete(entity: Entity, key: string): void {
    let staged = this.edited.get(entity);
    if (staged === undefined) {
      staged = new Map();
      this.edited.set(entity, staged);
    }
    staged.set(key, undefined);
  }

  *keys(entity: Entity): Iterable<string> {
    const staged = this.edited.get(entity);
    for (const key of this.#baseKeys(entity)) if (!staged?.has(key)) yield key;
    for (const [key, vector] of staged ?? []) if (vector !== undefined) yield key;
  }
}

/** The feature store in memory: nothing survives the process. */
export class MemoryFeatureStore implements FeatureStore {
  readonly #state: MemoryState;
  #position = 0;

  constructor(state = new MemoryState(), position = 0) {
    this.#state = state;
    this.#position = position;
  }

  get position(): number {
    return this.#position;
  }

  get(entity: Entity, key: string): Float64Array | undefined {
    return this.#state.get(entity, key);
  }

  async transaction(position: number, change: (state: StateEditor) => void): Promise<void> {
    const staged = new StagedState(this.#state, (entity) => this.#state.keys(entity));
    change(staged);
    for (const [entity, vectors] of staged.edited)
      for (const [key, vector] of vectors)
        if (vector === undefined) this.#state.delete(entity, key);
        else this.#state.set(entity, key, vector);
    this.#position = position;
  }

  async close(): Promise<void> {}
}
