import { createHash } from "node:crypto";
import { TOPICS_PER_POST } from "./entities.ts";
import { RECENT_ENGAGEMENTS } from "./families/recent-engagements.ts";
import { AUTHOR_TOPICS } from "./families/topic-shares.ts";
import { FAMILIES, schemaHash } from "./registry.ts";

/** Kinds of hashed ids; each has a table of embeddings that both towers share. */
export const TOWER_TABLES = ["topic", "language", "author", "post"] as const;
export type TowerTable = (typeof TOWER_TABLES)[number];

/** A weighted list of hashed ids, embedded as the weighted sum of their rows. */
export interface Bag {
  readonly name: string;
  readonly table: TowerTable;
  /** Most entries. */
  readonly slots: number;
}

/** What one tower reads: registry features, those that depend on media, then the entries of its bags. */
export interface TowerInputs {
  readonly features: readonly string[];
  /** Features of a viewer towards a kind of media, read once for each kind. */
  readonly mediaFeatures: readonly string[];
  readonly bags: readonly Bag[];
}

/** Topics that a taste is described by. */
export const TASTE_TOPICS = 32;
/** Followed authors that are pooled: the newest. */
export const POOLED_FOLLOWS = 48;

const featuresOf = (...prefixes: string[]): string[] =>
  FAMILIES.flatMap(({ features }) => features.map(({ name }) => name)).filter((name) =>
    prefixes.some((prefix) => name.startsWith(`${prefix}.`)),
  );

/** Nothing here names the viewer: a newcomer is described by what three engagements or follows show. */
export const USER_TOWER: TowerInputs = {
  features: featuresOf("user"),
  mediaFeatures: featuresOf("user_media"),
  bags: [
    { name: "taste", table: "topic", slots: TASTE_TOPICS },
    { name: "engaged_topics", table: "topic", slots: TASTE_TOPICS },
    { name: "languages", table: "language", slots: 3 },
    { name: "recent_authors", table: "author", slots: RECENT_ENGAGEMENTS },
    { name: "followed_authors", table: "author", slots: POOLED_FOLLOWS },
    { name: "recent_posts", table: "post", slots: RECENT_ENGAGEMENTS },
  ],
};

/** A post that was written a second ago lacks its rates and its own embedding, and has the rest. */
export const POST_TOWER: TowerInputs = {
  features: featuresOf("post", "author"),
  mediaFeatures: [],
  bags: [
    { name: "topics", table: "topic", slots: TOPICS_PER_POST },
    { name: "author_topics", table: "topic", slots: AUTHOR_TOPICS },
    { name: "language", table: "language", slots: 1 },
    { name: "author", table: "author", slots: 1 },
    { name: "post", table: "post", slots: 1 },
  ],
};

/** Raised when the meaning of a bag changes. */
const BAGS_VERSION = 1;

/** The kinds of media as posts' vectors number them. */
export const MEDIA_KINDS = ["none", "photo", "video"] as const;

/** Features of a row, bags not counted. */
export const widthOf = ({ features, mediaFeatures }: TowerInputs): number =>
  features.length + MEDIA_KINDS.length * mediaFeatures.length;

/** Entries of all bags. */
export const slotsOf = ({ bags }: TowerInputs): number =>
  bags.reduce((sum, { slots }) => sum + slots, 0);

/** Names of a tower's columns in `features`: the registry's, then the weight of every bag entry. */
export const towerColumns = ({ features, mediaFeatures, bags }: TowerInputs): string[] => [
  ...features,
  ...MEDIA_KINDS.flatMap((kind) => mediaFeatures.map((name) => `${name}.${kind}`)),
  ...bags.flatMap(({ name, slots }) => Array.from({ length: slots }, (_, i) => `${name}.${i}`)),
];

/** Names of a tower's columns in `ids`: the two rows of every bag entry. */
export const towerIdColumns = ({ bags }: TowerInputs): string[] =>
  bags.flatMap(({ name, slots }) =>
    Array.from({ length: 2 * slots }, (_, i) => `${name}.${i >> 1}.${i & 1}`),
  );

/** Hash of the definitions behind both towers' inputs; a bundle carries the one that it was trained with. */
export function towerSchemaHash(): string {
  const lines = [USER_TOWER, POST_TOWER].flatMap(({ features, mediaFeatures, bags }) => [
    schemaHash([...features, ...mediaFeatures], []),
    ...bags.map(({ name, table, slots }) => `${name}:${table}:${slots}`),
  ]);
  return createHash("sha256")
    .update([BAGS_VERSION, ...lines].join("\n"))
    .digest("hex")
    .slice(0, 16);
}
