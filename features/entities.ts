/** Whose state a feature family keeps. Keys are wire ids or names; pairs are joined with "|". */
export const ENTITIES = [
  "global",
  "user",
  "author",
  "post",
  "user_author",
  "topic",
  "user_topic",
  "token",
  "user_media",
  "surface",
  "user_surface",
  "user_follows",
] as const;
export type Entity = (typeof ENTITIES)[number];

/** The only key of the `global` entity. */
export const GLOBAL_KEY = "*";

export const pairKey = (first: string, second: string): string => `${first}|${second}`;

/** How many topics of a post are kept, most likely first. */
export const TOPICS_PER_POST = 4;

/** Reads entity vectors. The result is not to be changed. */
export interface StateView {
  get(entity: Entity, key: string): Float64Array | undefined;
  /**
   * What `get` gives, in a place that keeps up with the store. With `held`, an earlier answer for the same entity and key,
   * nothing is looked up as long as that is still kept up. For stores in which looking up is the greater part of reading.
   */
  cell?(entity: Entity, key: string, held?: VectorCell): VectorCell;
}

/** Where a store keeps a vector; whether that is still so, only the store's `cell` knows. */
export interface VectorCell {
  readonly vector: Float64Array | undefined;
}

/** Whoever remembers where a store had its vector when it was last read. */
export interface VectorHolder {
  vectorCell?: VectorCell | undefined;
}

/** Reads and changes entity vectors. */
export interface StateEditor extends StateView {
  /** The vector to change in place; zeros when the entity is new. */
  edit(entity: Entity, key: string): Float64Array;
  delete(entity: Entity, key: string): void;
  /** Every key of an entity; used by erasure only. */
  keys(entity: Entity): Iterable<string>;
}
