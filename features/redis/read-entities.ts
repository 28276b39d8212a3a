import type { Entity } from "../entities.ts";
import type { FeatureFamily } from "../family.ts";
import { FAMILY_OF } from "../registry.ts";

/** Entities whose vectors are looked at for these features and id columns; names that the registry lacks are passed over. */
export function readEntities(
  features: readonly string[],
  ids: readonly string[],
): ReadonlySet<Entity> {
  const families = new Set<FeatureFamily>();
  for (const name of features) {
    const family = FAMILY_OF.get(name);
    if (family !== undefined) families.add(family);
  }
  const entities = new Set<Entity>(["global", "user", "author"]);
  for (const family of families) for (const entity of family.reads) entities.add(entity);
  // A post's media and topics are the keys of others.
  if (ids.length > 0 || KEYED_BY_POST.some((entity) => entities.has(entity))) entities.add("post");
  return entities;
}

const KEYED_BY_POST = ["user_media", "topic", "user_topic"] as const;
