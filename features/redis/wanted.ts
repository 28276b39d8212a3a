import type { Entity } from "../entities.ts";
import type { AuthorVectors } from "../shared-reads.ts";
import type { Vector } from "./feature-copies.ts";
import type { LoadedFeatures } from "./loaded-features.ts";

/** What a request still has to fetch. Objects of one shape for all entities: a cold request makes a thousand of them. */
export interface Wanted {
  readonly entity: Entity;
  readonly key: string;
  /** What was fetched earlier and when, NaN = never: as it was when this was noted, for copies change while Redis is asked. */
  readonly earlier: Vector;
  readonly earlierMs: number;
  /** Of a post: its place in the request. */
  readonly post: number;
  /** Of an author. */
  readonly author: AuthorVectors | undefined;
  /** What there is between the viewer and an author; nobody else has it yet. */
  readonly pair: { userAuthor: Vector; authorUser: Vector } | undefined;
  /** Of the author's state towards the viewer, which stands behind the viewer's own: the author's id, as both are kept as one. */
  readonly pairAuthorId: string | undefined;
}

/** Puts what was wanted where the request looks. */
export function putWanted(wanted: Wanted, vector: Vector, loaded: LoadedFeatures): void {
  const { entity, key, post, author, pair, pairAuthorId } = wanted;
  if (entity === "post") loaded.posts[post] = vector;
  else if (author !== undefined) author.author = vector;
  else if (pair === undefined) loaded.put(entity, key, vector);
  else if (pairAuthorId === undefined) pair.userAuthor = vector;
  else pair.authorUser = vector;
}
