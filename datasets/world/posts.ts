import { snowflake } from "../ids.ts";

export const NO_MEDIA = 0;
export const PHOTO = 1;
export const VIDEO = 2;
export const ORIGINAL = 0;
export const REPLY_POST = 1;
export const REPOST_POST = 2;
export const QUOTE_POST = 3;
/** `label` of a post whose classifier said nothing. */
export const NO_LABEL = 255;

/** A post's topic mix is this share of its author's, the rest on one topic. Source: variant V of the world's prototype. */
export const AUTHOR_SHARE = 0.25;

/** Every post of the world as columns, ordered by time. Latents unless marked visible. */
export interface Posts {
  readonly count: number;
  /** Visible: epoch ms, ascending. */
  readonly createdMs: Float64Array;
  /** Visible: user index. */
  readonly author: Int32Array;
  /** The one topic that outweighs the author's mix. */
  readonly topic: Uint8Array;
  /** Visible: a classifier's topic, or NO_LABEL. */
  readonly label: Uint8Array;
  readonly quality: Float32Array;
  /** Expectation of `quality` given the author and the visible attribute. */
  readonly expectedQuality: Float32Array;
  readonly controversy: Float32Array;
  readonly expectedControversy: Float32Array;
  readonly toxicity: Float32Array;
  /** Expectation of `toxicity` given the safety label. */
  readonly expectedToxicity: Float32Array;
  /** Visible, noisy. */
  readonly qualityAttribute: Float32Array;
  readonly controversyAttribute: Float32Array;
  readonly safetyLabel: Uint8Array;
  /** Visible: NO_MEDIA, PHOTO or VIDEO. */
  readonly media: Uint8Array;
  readonly videoMs: Int32Array;
  /** Visible: index into LANGUAGES. */
  readonly language: Uint8Array;
  /** Visible: ORIGINAL, REPLY_POST, REPOST_POST or QUOTE_POST. */
  readonly kind: Uint8Array;
  /** Visible: what it answers, reposts or quotes; −1 for originals. */
  readonly parent: Int32Array;
  /** Visible: root of its conversation; itself for originals. */
  readonly root: Int32Array;
  /** Epoch ms; NaN = stays. */
  readonly deletedMs: Float64Array;
  /** The posts of author a in time order: `byAuthor[authorOffsets[a] … authorOffsets[a + 1])`. */
  readonly authorOffsets: Int32Array;
  readonly byAuthor: Int32Array;
}

/** The same while it is being filled. */
export type MutablePosts = { -readonly [K in keyof Posts]: Posts[K] };

/** The id of a post: its time and its place among all posts. */
export function postId(posts: Posts, post: number): string {
  return snowflake(posts.createdMs[post]!, post);
}

/** The place of the post with this id, or −1: the low bits say where, the whole id must agree. */
export function postOf(posts: Posts, id: string): number {
  if (!/^[0-9]{1,20}$/.test(id)) return -1;
  const post = Number(BigInt(id) & 0x3fffffn);
  return post < posts.count && postId(posts, post) === id ? post : -1;
}

/** The first of the posts 0 … end that was created at or after `timeMs`; `end` when none was. */
export function firstAtOrAfter(createdMs: Float64Array, timeMs: number, end: number): number {
  let low = 0;
  let high = end;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (createdMs[middle]! < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
