import { createHash } from "node:crypto";
import { TOKEN_SLOTS, TOPICS_VERSION } from "./content-topics.ts";
import { ENTITIES, type Entity } from "./entities.ts";
import { affinity, authorAffinity } from "./families/affinity.ts";
import { authorEngagement } from "./families/author-engagement.ts";
import { authorProfile } from "./families/author-profile.ts";
import { userDaily, userSurfaceDaily } from "./families/daily.ts";
import {
  authorElsewhere,
  postElsewhere,
  userAuthorElsewhere,
  userElsewhere,
  userTopicElsewhere,
} from "./families/elsewhere.ts";
import { followList } from "./families/follow-list.ts";
import { globalRates } from "./families/global.ts";
import { postContent } from "./families/post-content.ts";
import { postEngagement } from "./families/post-engagement.ts";
import { recentEngagements } from "./families/recent-engagements.ts";
import { requestContext } from "./families/request-context.ts";
import { surface, userSurface } from "./families/surface.ts";
import { topic } from "./families/topic.ts";
import { authorTopics, topicShares } from "./families/topic-shares.ts";
import { userAuthor } from "./families/user-author.ts";
import { userEngagement } from "./families/user-engagement.ts";
import { userMedia } from "./families/user-media.ts";
import { userPost } from "./families/user-post.ts";
import { userProfile } from "./families/user-profile.ts";
import { userTopic } from "./families/user-topic.ts";
import { viewerTopics } from "./families/viewer-topics.ts";
import type { FeatureFamily } from "./family.ts";

/** Every feature family. Within an entity the order decides the layout of its vector. */
export const FAMILIES: readonly FeatureFamily[] = [
  globalRates,
  requestContext,
  surface,
  userProfile,
  userEngagement,
  userSurface,
  authorProfile,
  authorEngagement,
  postContent,
  postEngagement,
  userAuthor,
  topic,
  userTopic,
  userMedia,
  userPost,
  topicShares,
  authorTopics,
  followList,
  viewerTopics,
  recentEngagements,
  affinity,
  authorAffinity,
  userElsewhere,
  postElsewhere,
  authorElsewhere,
  userAuthorElsewhere,
  userTopicElsewhere,
  userDaily,
  userSurfaceDaily,
];

/** Columns of entity ids that models embed by hash; see `reader.ts`. */
export const ID_COLUMNS = ["author", "topic", "language", "surface", "media"] as const;
export type IdColumn = (typeof ID_COLUMNS)[number];

/** The name of every feature, in registry order. */
export const FEATURE_NAMES: readonly string[] = FAMILIES.flatMap((f) =>
  f.features.map((s) => s.name),
);

/** feature name → its family. */
export const FAMILY_OF: ReadonlyMap<string, FeatureFamily> = new Map(
  FAMILIES.flatMap((family) => family.features.map((s) => [s.name, family] as const)),
);

/** Offset of each family's slots in its entity's vector. */
export const OFFSETS: ReadonlyMap<FeatureFamily, number> = new Map(offsets());

/** Float64 slots of each entity's vector; 0 = no state. */
export const SLOTS: Readonly<Record<Entity, number>> = Object.fromEntries(
  ENTITIES.map((entity) => [
    entity,
    entity === "token"
      ? TOKEN_SLOTS
      : FAMILIES.reduce((sum, f) => sum + (f.entity === entity ? f.slots : 0), 0),
  ]),
) as Record<Entity, number>;

function* offsets(): Iterable<[FeatureFamily, number]> {
  const used = new Map<Entity, number>();
  for (const family of FAMILIES) {
    const at = family.entity === undefined ? 0 : (used.get(family.entity) ?? 0);
    if (family.entity !== undefined) used.set(family.entity, at + family.slots);
    yield [family, at];
  }
}

/** Hash of the layout of all state: stored state of another layout is rebuilt, never read. */
export const LAYOUT_HASH = hash(
  [
    ...FAMILIES.map((f) => `${f.name}@${f.version}:${f.entity ?? ""}:${f.slots}`),
    `content_topics@${TOPICS_VERSION}:token:${TOKEN_SLOTS}`,
  ].join("\n"),
);

/** Hash of the definitions behind these features and id columns; a bundle carries the one that it was trained with. */
export function schemaHash(features: readonly string[], ids: readonly string[]): string {
  return hash(
    [
      ...features.map((name) => `${name}@${FAMILY_OF.get(name)?.version ?? "unknown"}`),
      "--",
      ...ids,
    ].join("\n"),
  );
}

/** The names that this registry does not have. */
export function unknownFeatures(features: readonly string[], ids: readonly string[]): string[] {
  const known = new Set<string>(ID_COLUMNS);
  return [
    ...features.filter((name) => !FAMILY_OF.has(name)),
    ...ids.filter((name) => !known.has(name)),
  ];
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
