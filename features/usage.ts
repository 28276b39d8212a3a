import type { Entity } from "./entities.ts";

/** What the vectors of one kind of entity take in their store. */
export interface EntityUsage {
  readonly entities: number;
  readonly bytes: number;
}

export type FeatureUsage = Readonly<Record<Entity, EntityUsage>>;
