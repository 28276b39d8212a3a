import { z } from "zod";
import { ENGAGEMENT_HEADS } from "./heads.ts";
import { Id } from "./ids.ts";

/** Version of the record layout below; every stored record carries it. */
export const EVENT_SCHEMA_VERSION = 1;

/** The surface of engagements that were made where impressions are not logged: histories, other products, other sites. */
export const ELSEWHERE = "elsewhere";

const TimeMs = z.int().min(0).max(8_640_000_000_000_000);
const Name = z.string().min(1).max(200);
const base = {
  /** Makes a retry harmless: an id seen in the last 48 h is acknowledged and not applied again. */
  event_id: z.string().min(1).max(64).optional(),
  /** When it became known, epoch milliseconds. For an outcome that is after its impression. */
  time_ms: TimeMs,
};

const UserCreated = z.strictObject({
  ...base,
  type: z.literal("user_created"),
  user_id: Id,
  languages: z.array(z.string().min(2).max(8)).max(8).default([]),
  country: z.string().min(2).max(8).optional(),
  /** Offset of the user's wall clock from UTC. */
  utc_offset_minutes: z.int().min(-840).max(840).optional(),
  /** Importer's profile columns: numbers by name (register days, activity degree …). */
  attributes: z.record(Name, z.number()).default({}),
});

const PostCreated = z.strictObject({
  ...base,
  type: z.literal("post_created"),
  post_id: Id,
  author_id: Id,
  text: z.string().max(10_000).default(""),
  /** Topic labels of a content classifier: noisy, possibly none. */
  topics: z.array(Name).max(32).default([]),
  language: z.string().min(2).max(8).optional(),
  media: z.enum(["none", "photo", "video"]).default("none"),
  video_ms: z.int().min(0).optional(),
  in_reply_to_post_id: Id.optional(),
  in_reply_to_author_id: Id.optional(),
  /** The root of the conversation; the post itself when absent. */
  conversation_id: Id.optional(),
  repost_of_post_id: Id.optional(),
  repost_of_author_id: Id.optional(),
  quote_of_post_id: Id.optional(),
  quote_of_author_id: Id.optional(),
  safety_labels: z.array(Name).max(16).default([]),
  /** Outputs of content models and importer columns, numbers by name. */
  attributes: z.record(Name, z.number()).default({}),
});

const PostDeleted = z.strictObject({
  ...base,
  type: z.literal("post_deleted"),
  post_id: Id,
  author_id: Id.optional(),
});

const relation = <T extends string>(type: T) =>
  z.strictObject({ ...base, type: z.literal(type), user_id: Id, target_id: Id });

const MutedKeywords = z.strictObject({
  ...base,
  type: z.literal("muted_keywords_set"),
  user_id: Id,
  keywords: z.array(z.string().min(1).max(200)).max(200),
});

/** What one position of a served page held. */
const ServedItem = z.strictObject({
  post_id: Id,
  author_id: Id,
  score: z.number(),
  source: Name,
  in_network: z.boolean(),
  /** Probability that the logging policy put this post at this position; absent for a deterministic page. */
  propensity: z.number().gt(0).max(1).optional(),
});

/** A heavy-scored candidate on a sampled share of requests: enough to rescore it offline. */
const ServedCandidate = z.strictObject({
  post_id: Id,
  author_id: Id,
  in_network: z.boolean(),
  created_at_ms: TimeMs,
  heads: z.record(Name, z.number()),
  multipliers: z.record(Name, z.number()),
  score: z.number(),
  /** The served feature vector in the bundle's order; null = missing. */
  features: z.array(z.number().nullable()).optional(),
});

const Served = z.strictObject({
  ...base,
  type: z.literal("served"),
  request_id: z.string().min(1).max(64),
  user_id: Id,
  product: Name,
  /** Sequence of the last log record that the features of this ranking reflect. */
  log_position: z.int().min(0),
  experiments: z.array(z.strictObject({ key: Name, variation: z.int().min(0) })),
  weights_checksum: Name,
  model_versions: z.record(Name, Name),
  policy: Name,
  deterministic: z.boolean(),
  items: z.array(ServedItem).max(500),
  candidates: z.array(ServedCandidate).max(3000).optional(),
});

const Impression = z.strictObject({
  ...base,
  type: z.literal("impression"),
  request_id: z.string().min(1).max(64),
  user_id: Id,
  post_id: Id,
  author_id: Id.optional(),
  position: z.int().min(0).max(10_000),
  viewed_ms: z.int().min(0).max(86_400_000).optional(),
  in_network: z.boolean().optional(),
  policy: Name.optional(),
  /** Slot propensity under the logging policy. */
  propensity: z.number().gt(0).max(1).optional(),
  /** The surface that showed it (KuaiRand's `tab`). */
  surface: Name.optional(),
});

const headNames = ENGAGEMENT_HEADS.map((head) => head.name) as [string, ...string[]];

const Engagement = z.strictObject({
  ...base,
  type: z.literal("engagement"),
  user_id: Id,
  post_id: Id,
  author_id: Id.optional(),
  head: z.enum(headNames),
  /** The amount, for continuous heads only. */
  value: z.number().min(0).max(86_400).optional(),
  request_id: z.string().min(1).max(64).optional(),
  /** Takes the engagement back (un-favorite …). */
  undo: z.boolean().optional(),
  /** The surface that it happened on, as in the impression; `elsewhere` where impressions are not logged. */
  surface: Name.optional(),
});

/** An experiment unit saw (would have seen) its arm. */
const Exposure = z.strictObject({
  ...base,
  type: z.literal("exposure"),
  user_id: Id,
  experiment: Name,
  variation: z.int().min(0),
  variation_key: Name,
  layer: Name.optional(),
  /** What the arm was drawn by: attribute and the unit's value of it. Absent in records of before they were logged. */
  hash_attribute: Name.optional(),
  hash_value: z.string().min(1).max(1_000).optional(),
  bucket: z.number().min(0).max(1),
  reason: Name,
  propensity: z.number().min(0).max(1),
  config_version: Name,
  request_id: z.string().min(1).max(64).optional(),
});

const UserDeleted = z.strictObject({ ...base, type: z.literal("user_deleted"), user_id: Id });

/** Holds the place of a record that was erased, so that every other keeps its own; says nothing of what stood there. */
const Erased = z.strictObject({ ...base, type: z.literal("erased") });

/** Every record of the log, as on the wire (snake_case). Unknown keys are refused. */
export const EventSchema = z.discriminatedUnion("type", [
  UserCreated,
  UserDeleted,
  PostCreated,
  PostDeleted,
  relation("follow"),
  relation("unfollow"),
  relation("block"),
  relation("unblock"),
  relation("mute"),
  relation("unmute"),
  MutedKeywords,
  Served,
  Impression,
  Engagement,
  Exposure,
  Erased,
]);

/** One thing that happened. In code as on the wire: records are data, so they keep their snake_case names. */
export type Event = z.infer<typeof EventSchema>;
export type EventType = Event["type"];
export type EventOf<T extends EventType> = Extract<Event, { type: T }>;
/** An event with its place in the log. `seq` counts from 1 within a partition. */
export type LoggedEvent = Event & { readonly seq: number };
