import { snowflake } from "../ids.ts";
import { random } from "../random.ts";
import type { FollowGraph } from "./graph.ts";
import { timeOfDay } from "./rhythm.ts";
import { DAY_MS, HOUR_MS, WORLD_START_MS, type WorldSettings } from "./settings.ts";
import { TOPIC_COUNT } from "./topics.ts";
import type { Users } from "./users.ts";
import { weightedDraw } from "./weighted-draw.ts";

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
/** Share of posts on the topic that trends in their six hours. */
const TRENDING_SHARE = 0.12;
const TREND_HOURS = 6;

/** Labels: wrong topic, no topic. Together the 20–30 % noise that models must live with. */
const LABEL_WRONG = 0.12;
const LABEL_MISSING = 0.13;

/** Spread of the noise on visible attributes, and of the parts that only feedback reveals. */
export const ATTRIBUTE_NOISE_SD = 0.3;
export const HIDDEN_QUALITY_SD = 0.38;
export const HIDDEN_CONTROVERSY_SD = 0.4;
const AUTHOR_QUALITY = 0.7;
const VISIBLE_QUALITY = 0.62;
const VISIBLE_CONTROVERSY = 0.9;

/** Toxic posts: how many, how much, and how often a safety label catches them or errs. */
const TOXIC_SHARE = 0.03;
const TOXIC_LEVEL = 2.5;
const BACKGROUND_TOXICITY_SD = 0.5;
const LABEL_CATCHES = 0.8;
const LABEL_FALSE_ALARM = 0.007;

/** Share of posts by kind: replies, reposts, quotes; the rest are originals. */
const REPLY_SHARE = 0.2;
const REPOST_SHARE = 0.05;
const QUOTE_SHARE = 0.04;
/** Replies and reposts answer something from this long ago at most. */
const PARENT_MAX_AGE_MS = 6 * HOUR_MS;
const PARENT_TRIES = 6;
const DELETED_SHARE = 0.006;

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

export function createPosts(
  settings: WorldSettings,
  seed: number,
  users: Users,
  graph: FollowGraph,
): Posts {
  const count = settings.posts;
  const { createdMs, author } = placeInTime(settings, seed, users, graph);
  const posts = {
    count,
    createdMs,
    author,
    topic: new Uint8Array(count),
    label: new Uint8Array(count),
    quality: new Float32Array(count),
    expectedQuality: new Float32Array(count),
    controversy: new Float32Array(count),
    expectedControversy: new Float32Array(count),
    toxicity: new Float32Array(count),
    expectedToxicity: new Float32Array(count),
    qualityAttribute: new Float32Array(count),
    controversyAttribute: new Float32Array(count),
    safetyLabel: new Uint8Array(count),
    media: new Uint8Array(count),
    videoMs: new Int32Array(count),
    language: new Uint8Array(count),
    kind: new Uint8Array(count),
    parent: new Int32Array(count).fill(-1),
    root: new Int32Array(count),
    deletedMs: new Float64Array(count).fill(Number.NaN),
    ...indexByAuthor(author, users.authors),
  };
  for (let p = 0; p < count; p++) {
    choosePlaceInConversation(posts, seed, p);
    if (posts.kind[p] === REPOST_POST) copyContent(posts, posts.parent[p]!, p);
    else drawContent(posts, seed, users, p);
    const fate = random(seed, "deleted", p);
    if (fate.next() < DELETED_SHARE) {
      posts.deletedMs[p] = Math.floor(createdMs[p]! + 60_000 + fate.exponential() * 5 * HOUR_MS);
    }
  }
  return posts;
}

type MutablePosts = { -readonly [K in keyof Posts]: Posts[K] };

/** Authors post log-normally often, somewhat more with more followers, by their own daily rhythm. */
function placeInTime(
  settings: WorldSettings,
  seed: number,
  users: Users,
  graph: FollowGraph,
): { createdMs: Float64Array; author: Int32Array } {
  const { posts: count, authors, days } = settings;
  let meanFollowers = 0;
  for (let a = 0; a < authors; a++) meanFollowers += graph.followerCounts[a]! / authors;
  const rate = Float64Array.from({ length: authors }, (_, a) => {
    const reach = (graph.followerCounts[a]! + 1) / meanFollowers;
    return Math.exp(random(seed, "post-rate", a).normal()) * reach ** 0.25;
  });
  const byRate = weightedDraw(rate);
  const times = new Float64Array(count);
  const authorOf = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const source = random(seed, "post-time", i);
    authorOf[i] = byRate.draw(source);
    const within = timeOfDay(users.utcOffsetMinutes[authorOf[i]!]!, source);
    times[i] = WORLD_START_MS + source.below(days) * DAY_MS + within;
  }
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  order.sort((a, b) => times[a]! - times[b]! || a - b);
  return {
    createdMs: Float64Array.from(order, (i) => times[i]!),
    author: Int32Array.from(order, (i) => authorOf[i]!),
  };
}

function indexByAuthor(
  author: Int32Array,
  authors: number,
): { authorOffsets: Int32Array; byAuthor: Int32Array } {
  const authorOffsets = new Int32Array(authors + 1);
  for (const a of author) authorOffsets[a + 1]!++;
  for (let a = 0; a < authors; a++) authorOffsets[a + 1]! += authorOffsets[a]!;
  const next = authorOffsets.slice(0, authors);
  const byAuthor = new Int32Array(author.length);
  for (let p = 0; p < author.length; p++) {
    const a = author[p]!;
    byAuthor[next[a]!] = p;
    next[a]!++;
  }
  return { authorOffsets, byAuthor };
}

/** Replies, reposts and quotes answer a recent post of someone else, preferably in the same language. */
function choosePlaceInConversation(posts: MutablePosts, seed: number, p: number): void {
  posts.root[p] = p;
  const source = random(seed, "conversation", p);
  const lot = source.next();
  if (lot >= REPLY_SHARE + REPOST_SHARE + QUOTE_SHARE || p === 0) return;
  const kind =
    lot < REPLY_SHARE ? REPLY_POST : lot < REPLY_SHARE + REPOST_SHARE ? REPOST_POST : QUOTE_POST;
  for (let tries = 0; tries < PARENT_TRIES; tries++) {
    const back = 1 + Math.floor(source.exponential() * Math.min(p, 200));
    let parent = p - back;
    if (parent < 0) continue;
    if (posts.kind[parent] === REPOST_POST) parent = posts.parent[parent]!;
    if (posts.createdMs[p]! - posts.createdMs[parent]! > PARENT_MAX_AGE_MS) continue;
    if (posts.createdMs[p] === posts.createdMs[parent]) continue;
    if (posts.author[parent] === posts.author[p]) continue;
    if (posts.deletedMs[parent]! <= posts.createdMs[p]!) continue;
    posts.kind[p] = kind;
    posts.parent[p] = parent;
    if (kind === REPLY_POST) posts.root[p] = posts.root[parent]!;
    return;
  }
}

function drawContent(posts: MutablePosts, seed: number, users: Users, p: number): void {
  const source = random(seed, "post", p);
  const author = posts.author[p]!;
  posts.topic[p] = drawTopic(posts, seed, users, p, source.next(), source.next());

  const label = source.next();
  posts.label[p] =
    label < LABEL_WRONG
      ? source.below(TOPIC_COUNT)
      : label < LABEL_WRONG + LABEL_MISSING
        ? NO_LABEL
        : posts.topic[p]!;

  const attributeShare = 1 / (1 + ATTRIBUTE_NOISE_SD ** 2);
  const visibleQuality = source.normal();
  const quality = visibleQuality + ATTRIBUTE_NOISE_SD * source.normal();
  const ofAuthor = AUTHOR_QUALITY * users.quality[author]!;
  posts.quality[p] =
    ofAuthor + VISIBLE_QUALITY * visibleQuality + HIDDEN_QUALITY_SD * source.normal();
  posts.expectedQuality[p] = ofAuthor + VISIBLE_QUALITY * attributeShare * quality;
  posts.qualityAttribute[p] = quality;

  const visibleControversy = source.normal();
  const controversy = visibleControversy + ATTRIBUTE_NOISE_SD * source.normal();
  posts.controversy[p] =
    VISIBLE_CONTROVERSY * visibleControversy + HIDDEN_CONTROVERSY_SD * source.normal();
  posts.expectedControversy[p] = VISIBLE_CONTROVERSY * attributeShare * controversy;
  posts.controversyAttribute[p] = controversy;

  const isToxic = source.next() < TOXIC_SHARE;
  posts.toxicity[p] = (isToxic ? TOXIC_LEVEL : 0) + BACKGROUND_TOXICITY_SD * source.normal();
  const isLabelled = source.next() < (isToxic ? LABEL_CATCHES : LABEL_FALSE_ALARM);
  posts.safetyLabel[p] = isLabelled ? 1 + source.below(3) : 0;
  posts.expectedToxicity[p] = TOXIC_LEVEL * toxicGivenLabel(isLabelled);

  const media = source.next();
  posts.media[p] = media < 0.5 ? NO_MEDIA : media < 0.82 ? PHOTO : VIDEO;
  const seconds = Math.exp(3.2 + 0.9 * source.normal());
  posts.videoMs[p] = posts.media[p] === VIDEO ? Math.round(1000 * Math.max(1, seconds)) : 0;
  posts.language[p] = users.language[author]!;
}

/** Bayes: how likely a post is toxic given whether it carries a safety label. */
function toxicGivenLabel(isLabelled: boolean): number {
  const toxic = TOXIC_SHARE * (isLabelled ? LABEL_CATCHES : 1 - LABEL_CATCHES);
  const clean = (1 - TOXIC_SHARE) * (isLabelled ? LABEL_FALSE_ALARM : 1 - LABEL_FALSE_ALARM);
  return toxic / (toxic + clean);
}

function drawTopic(
  posts: MutablePosts,
  seed: number,
  users: Users,
  p: number,
  whether: number,
  which: number,
): number {
  if (posts.parent[p]! >= 0 && whether > 0.4) return posts.topic[posts.parent[p]!]!;
  if (whether < TRENDING_SHARE) {
    const period = Math.floor((posts.createdMs[p]! - WORLD_START_MS) / (TREND_HOURS * HOUR_MS));
    return random(seed, "trend", period).below(TOPIC_COUNT);
  }
  const base = posts.author[p]! * TOPIC_COUNT;
  let left = which;
  for (let k = 0; k < TOPIC_COUNT; k++) {
    left -= users.interests[base + k]!;
    if (left < 0) return k;
  }
  return TOPIC_COUNT - 1;
}

/** A repost shows the original's content. */
function copyContent(posts: MutablePosts, from: number, to: number): void {
  posts.topic[to] = posts.topic[from]!;
  posts.label[to] = posts.label[from]!;
  posts.quality[to] = posts.quality[from]!;
  posts.expectedQuality[to] = posts.expectedQuality[from]!;
  posts.controversy[to] = posts.controversy[from]!;
  posts.expectedControversy[to] = posts.expectedControversy[from]!;
  posts.toxicity[to] = posts.toxicity[from]!;
  posts.expectedToxicity[to] = posts.expectedToxicity[from]!;
  posts.qualityAttribute[to] = posts.qualityAttribute[from]!;
  posts.controversyAttribute[to] = posts.controversyAttribute[from]!;
  posts.safetyLabel[to] = posts.safetyLabel[from]!;
  posts.media[to] = posts.media[from]!;
  posts.videoMs[to] = posts.videoMs[from]!;
  posts.language[to] = posts.language[from]!;
}
