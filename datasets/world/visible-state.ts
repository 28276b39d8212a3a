import { WORLD_HEADS } from "../heads.ts";
import {
  BLOCK,
  ENGAGEMENT,
  FOLLOW,
  type Happening,
  IMPRESSION,
  MUTE,
  POST_CREATED,
  POST_DELETED,
  UNFOLLOW,
} from "./event-queue.ts";
import type { Population } from "./population.ts";
import { NO_LABEL } from "./posts.ts";
import { HOUR_MS } from "./settings.ts";
import { TOPIC_COUNT } from "./topics.ts";

/** How much an outcome counts as a sign of interest in the logging policies; 0 for all others. */
const INTEREST: ReadonlyMap<string, number> = new Map([
  ["click", 0.3],
  ["favorite", 1],
  ["reply", 2],
  ["repost", 1.5],
  ["quote", 2],
  ["share", 1.5],
  ["photo_expand", 0.2],
  ["video_view", 0.2],
  ["dwell", 0.1],
  ["not_interested", -3],
  ["mute_author", -4],
  ["block_author", -4],
  ["report", -4],
]);
const interest = Float64Array.from(WORLD_HEADS, (head) => INTEREST.get(head) ?? 0);
/** Half-life of the popularity count. */
const POPULARITY_HALF_LIFE_MS = 5 * HOUR_MS;
/** Posts seen longer ago than this are too old to be shown anyway. */
export const SEEN_KEPT_MS = 48 * HOUR_MS;

/** What the log has told so far: the only thing that logging policies know. */
export class VisibleState {
  readonly #population: Population;
  /** Followed people who post, per user, in order of following. */
  readonly followedAuthors: number[][];
  /** Blocked or muted, by user. */
  readonly hidden = new Map<number, Set<number>>();
  /** Posts seen, per user, oldest first. */
  readonly seen: number[][];
  readonly exists: Uint8Array;
  /** Number of posts out, per author and in all: posts appear in index order. */
  readonly authorPosts: Int32Array;
  postsOut = 0;
  readonly postImpressions: Float32Array;
  readonly postInterest: Float32Array;
  /** Row-major [users, topics] by classifier label. */
  readonly topicImpressions: Float32Array;
  readonly topicInterest: Float32Array;
  readonly #met = new Map<number, { impressions: number; interest: number }>();
  readonly #popularity: Float64Array;
  readonly #popularityMs: Float64Array;

  constructor(population: Population) {
    this.#population = population;
    const { users, posts } = population;
    this.followedAuthors = Array.from({ length: users.count }, () => []);
    this.seen = Array.from({ length: users.count }, () => []);
    this.exists = new Uint8Array(posts.count);
    this.authorPosts = new Int32Array(users.authors);
    this.postImpressions = new Float32Array(posts.count);
    this.postInterest = new Float32Array(posts.count);
    this.topicImpressions = new Float32Array(users.count * TOPIC_COUNT);
    this.topicInterest = new Float32Array(users.count * TOPIC_COUNT);
    this.#popularity = new Float64Array(posts.count);
    this.#popularityMs = new Float64Array(posts.count);
  }

  /** Decayed sum of interest in a post. */
  popularity(post: number, timeMs: number): number {
    const age = timeMs - this.#popularityMs[post]!;
    return this.#popularity[post]! * Math.exp((-Math.LN2 * age) / POPULARITY_HALF_LIFE_MS);
  }

  /** How often this person saw the author before. */
  exposures(user: number, author: number): number {
    return this.#met.get(this.#pair(user, author))?.impressions ?? 0;
  }

  /** Smoothed interest per impression of the author. */
  authorRate(user: number, author: number): number {
    const met = this.#met.get(this.#pair(user, author));
    return met ? (0.5 + met.interest) / (4 + met.impressions) : 0.125;
  }

  isHidden(user: number, author: number): boolean {
    return this.hidden.get(user)?.has(author) ?? false;
  }

  follows(user: number, author: number): boolean {
    return this.followedAuthors[user]!.includes(author);
  }

  apply(event: Happening): void {
    const { posts, users } = this.#population;
    switch (event.kind) {
      case POST_CREATED:
        this.exists[event.object] = 1;
        this.authorPosts[event.user]!++;
        this.postsOut = event.object + 1;
        break;
      case POST_DELETED:
        this.exists[event.object] = 0;
        break;
      case FOLLOW:
        if (event.object < users.authors && !this.follows(event.user, event.object)) {
          this.followedAuthors[event.user]!.push(event.object);
        }
        break;
      case UNFOLLOW: {
        const list = this.followedAuthors[event.user]!;
        const at = list.indexOf(event.object);
        if (at >= 0) list.splice(at, 1);
        break;
      }
      case BLOCK:
      case MUTE: {
        const hidden = this.hidden.get(event.user) ?? new Set();
        this.hidden.set(event.user, hidden.add(event.object));
        break;
      }
      case IMPRESSION: {
        const author = posts.author[event.object]!;
        this.#meet(event.user, author).impressions++;
        this.postImpressions[event.object]!++;
        this.seen[event.user]!.push(event.object);
        const label = posts.label[event.object]!;
        if (label !== NO_LABEL) this.topicImpressions[event.user * TOPIC_COUNT + label]!++;
        break;
      }
      case ENGAGEMENT:
        this.#engaged(event);
        break;
      default:
    }
  }

  #engaged(event: Happening): void {
    const amount = interest[event.detail]!;
    if (amount === 0) return;
    const { posts } = this.#population;
    const post = event.object;
    this.#popularity[post] = this.popularity(post, event.timeMs) + amount;
    this.#popularityMs[post] = event.timeMs;
    this.postInterest[post]! += amount;
    this.#meet(event.user, posts.author[post]!).interest += amount;
    const label = posts.label[post]!;
    if (label !== NO_LABEL) this.topicInterest[event.user * TOPIC_COUNT + label]! += amount;
  }

  #meet(user: number, author: number): { impressions: number; interest: number } {
    const key = this.#pair(user, author);
    let met = this.#met.get(key);
    if (!met) {
      met = { impressions: 0, interest: 0 };
      this.#met.set(key, met);
    }
    return met;
  }

  #pair(user: number, author: number): number {
    return user * this.#population.users.authors + author;
  }
}
