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
}

/** Reads and changes entity vectors. */
export interface StateEditor extends StateView {
  /** The vector to change in place; zeros when the entity is new. */
  edit(entity: Entity, key: string): Float64Array;
  delete(entity: Entity, key: string): void;
  /** Every key of an entity; used by erasure only. */
  keys(entity: Entity): Iterable<string>;
}
