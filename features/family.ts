import type { Event } from "../datasets/events.ts";
import type { Entity } from "./entities.ts";
import type { Priors } from "./families/global.ts";
import type { SignalFact } from "./signals.ts";
import type { ViewerInterests } from "./viewer-interests.ts";

/** Everything a feature may look at for one candidate of one request. Vectors are undefined where nothing is known. */
export interface RowContext {
  nowMs: number;
  surface: string | undefined;
  global: Float64Array | undefined;
  /** Of `global`. */
  readonly priors: Priors;
  user: Float64Array | undefined;
  surfaceState: Float64Array | undefined;
  userSurface: Float64Array | undefined;
  /** False when the request did not say who wrote the post. */
  authorKnown: boolean;
  author: Float64Array | undefined;
  post: Float64Array | undefined;
  /** The viewer's state towards the author, and the author's towards the viewer. */
  userAuthor: Float64Array | undefined;
  authorUser: Float64Array | undefined;
  userMedia: Float64Array | undefined;
  /** The post's topics, most likely first: how many, their weights (sum 1), their vectors. */
  topicCount: number;
  readonly topicWeight: Float64Array;
  readonly topics: TopicCell[];
  /** The viewer's interests by topic; undefined where no topic is known. */
  interests: ViewerInterests | undefined;
  /** Where the author's topics begin in `author`. */
  authorTopicsAt: number;
  /** Where the counts of what the viewer did elsewhere begin in `user`. */
  userElsewhereAt: number;
}

/** A topic as one request meets it; what families compute of it is the same for every post and kept here. */
export interface TopicCell {
  /** The topic's hash. */
  readonly topic: number;
  readonly state: Float64Array | undefined;
  /** The viewer's state towards the topic. */
  readonly userState: Float64Array | undefined;
  /** The topic's number in the viewer's interests, −1 where it has none. */
  readonly number: number;
  /** What the `topic` and the `user_topic` family make of the states; undefined until they first do. */
  values: Float64Array | undefined;
  userValues: Float64Array | undefined;
}

export interface FeatureSpec {
  readonly name: string;
  readonly description: string;
}

/**
 * A family of features that share one state: the same object is updated by the live event stream and by replay, and read
 * by requests and by training rows, so the two cannot differ.
 */
export interface FeatureFamily {
  readonly name: string;
  /** Raised when the meaning of its numbers changes: bundles trained on another version are refused. */
  readonly version: number;
  /** Whose vector holds its slots; `undefined` for a family without state of its own. */
  readonly entity?: Entity;
  /** Float64 slots in that vector. */
  readonly slots: number;
  readonly features: readonly FeatureSpec[];
  /** True when the values depend on the viewer and request only: computed once a request and broadcast. */
  readonly perRequest: boolean;
  /** Entities that `read` looks at; only these are fetched. */
  readonly reads: readonly Entity[];
  /** An impression or engagement that concerns this entity; `share` is the entity's part in it (a topic's weight), else 1. */
  onSignal?(state: Float64Array, at: number, fact: SignalFact, share: number): void;
  /** The same for each topic of the post, of which this entity's vector keeps many; `share` is the topic's weight. */
  onTopicSignal?(
    state: Float64Array,
    at: number,
    fact: SignalFact,
    topic: number,
    share: number,
  ): void;
  /** An engagement on the surface `elsewhere`: made outside of the rankings whose impressions are logged. */
  onElsewhere?(state: Float64Array, at: number, fact: SignalFact, share: number): void;
  /** A new post that concerns this entity, with its topics estimated. */
  onPost?(state: Float64Array, at: number, timeMs: number, post: Float64Array): void;
  /** Any other event that concerns this entity. `role`: which id of the event the entity is. */
  onEvent?(state: Float64Array, at: number, event: Event, role: EventRole): void;
  /** Writes `features.length` values from `out[column]` on; NaN = missing. */
  read(context: RowContext, at: number, out: Float32Array, column: number): void;
  /**
   * A `read` of only the features at these indices of `features`, in ascending order: for families with many, of which a
   * light model wants few.
   */
  readOf?(wanted: readonly number[]): FeatureFamily["read"];
}

/** `subject` acts (user, author of a new post, follower), `object` is acted on (followed author, replied-to author). */
export type EventRole = "subject" | "object";
