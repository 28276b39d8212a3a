import type { Entity } from "../entities.ts";
import type { AuthorVectors } from "../shared-reads.ts";
import type { FeatureCopy, PairCopy, Vector } from "./feature-copies.ts";
import type { LoadedFeatures } from "./loaded-features.ts";

/** What a request still has to fetch. Objects of one shape for all entities: a cold request makes a thousand of them. */
export interface Wanted {
  readonly entity: Entity;
  readonly key: string;
  /** What was fetched earlier. */
  readonly earlier: FeatureCopy | PairCopy | undefined;
  /** Of a post: its place in the request. */
  readonly post: number;
  /** Of an author. */
  readonly author: AuthorVectors | undefined;
  /** What there is between the viewer and an author; nobody else has it yet. */
  readonly pair: { userAuthor: Vector; authorUser: Vector } | undefined;
  /** Of the author's state towards the viewer, which stands behind the viewer's own: the author, as both are kept as one. */
  readonly behind: string | undefined;
}

/** Puts what was wanted where the request looks. */
export function putWanted(wanted: Wanted, vector: Vector, loaded: LoadedFeatures): void {
  const { entity, key, post, author, pair, behind } = wanted;
  if (entity === "post") loaded.posts[post] = vector;
  else if (author !== undefined) author.author = vector;
  else if (pair === undefined) loaded.put(entity, key, vector);
  else if (behind === undefined) pair.userAuthor = vector;
  else pair.authorUser = vector;
}

/** What a copy holds of what is wanted. */
export function vectorOf(copy: FeatureCopy | PairCopy, { behind }: Wanted): Vector {
  if (!("between" in copy)) return copy.vector;
  return behind === undefined ? copy.between.userAuthor : copy.between.authorUser;
}
