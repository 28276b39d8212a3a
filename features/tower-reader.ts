import { GLOBAL_KEY, type StateView, TOPICS_PER_POST } from "./entities.ts";
import { eachFollow } from "./families/follow-list.ts";
import { globalRate } from "./families/global.ts";
import { POST } from "./families/post-content.ts";
import {
  eachRecentEngagement,
  recentEngagements,
  towerHash,
} from "./families/recent-engagements.ts";
import { AUTHOR_TOPICS, authorTopics } from "./families/topic-shares.ts";
import { LANGUAGES, USER } from "./families/user-profile.ts";
import { FeatureReader } from "./reader.ts";
import { OFFSETS, SLOTS } from "./registry.ts";
import { INTEREST_OFFSETS } from "./row-context.ts";
import { INTEREST } from "./signals.ts";
import {
  MEDIA_KINDS,
  POOLED_FOLLOWS,
  POST_TOWER,
  TASTE_TOPICS,
  USER_TOWER,
} from "./tower-inputs.ts";
import type { TowerRows } from "./tower-rows.ts";
import { ViewerInterests } from "./viewer-interests.ts";

const RECENT_AT = OFFSETS.get(recentEngagements) as number;
const AUTHOR_TOPICS_AT = OFFSETS.get(authorTopics) as number;
/** A taste of two days ago counts half. */
const RECENT_HALF_LIFE_MS = 2 * 86_400_000;
const NO_IDS = new Uint32Array(0);
/** A post of each kind of media and nothing else. */
const MEDIA_POSTS = MEDIA_KINDS.map((_, kind) => {
  const post = new Float64Array(SLOTS.post);
  post[POST.created] = 1;
  post[POST.media] = kind;
  return post;
});

/** Reads the inputs of both towers from feature state, the same way in replay and when serving. */
export class TowerReader {
  readonly #user = new FeatureReader(USER_TOWER.features, []);
  readonly #media = new FeatureReader(USER_TOWER.mediaFeatures, []);
  readonly #scratch = new Float32Array(USER_TOWER.features.length);
  readonly #post = new FeatureReader(POST_TOWER.features, []);
  readonly #interests = new ViewerInterests();
  readonly #order = new Int32Array(64);
  #hashes: Uint32Array = NO_IDS;
  #weights: Float32Array = new Float32Array(0);
  #at = 0;

  /** Appends what is known of a viewer at `nowMs` to `rows` of the user tower; returns the row. */
  user(view: StateView, userId: string, nowMs: number, rows: TowerRows): number {
    const row = rows.add();
    this.#user.begin(view, { userId, nowMs });
    this.#user.rowOf(undefined, undefined, this.#scratch, NO_IDS, 0);
    rows.features.set(this.#scratch, row * rows.width);
    this.#mediaTastes(view, userId, nowMs, rows.features, row * rows.width + this.#scratch.length);
    this.#begin(rows, row);
    const user = view.get("user", userId);
    this.#taste(view, userId, nowMs, user);
    for (let i = 0; i < LANGUAGES; i++) this.#put(user?.[USER.languages + i] ?? 0, 1);
    this.#recent(user, nowMs, true);
    this.#followed(view, userId);
    this.#recent(user, nowMs, false);
    return row;
  }

  /** Begins a run of posts at one moment. */
  begin(view: StateView, nowMs: number): void {
    // Post and author features do not depend on who asks.
    this.#post.begin(view, { userId: "0", nowMs });
  }

  /** Appends what is known of a post to `rows` of the post tower; returns the row. */
  post(view: StateView, postId: string, authorId: string, rows: TowerRows): number {
    const row = rows.add();
    const post = view.get("post", postId);
    this.#post.rowOf(post, authorId, rows.features, NO_IDS, row);
    this.#begin(rows, row);
    for (let i = 0; i < TOPICS_PER_POST; i++)
      this.#put(post?.[POST.topics + 2 * i] ?? 0, post?.[POST.topics + 2 * i + 1] ?? 0);
    const author = view.get("author", authorId);
    let sum = 0;
    if (author !== undefined)
      for (let i = 0; i < AUTHOR_TOPICS; i++) sum += author[AUTHOR_TOPICS_AT + 2 * i + 1] as number;
    for (let i = 0; i < AUTHOR_TOPICS; i++) {
      const at = AUTHOR_TOPICS_AT + 2 * i;
      const known = author !== undefined && sum > 0;
      this.#put(known ? (author[at] as number) : 0, known ? (author[at + 1] as number) / sum : 0);
    }
    this.#put(post?.[POST.language] ?? 0, 1);
    this.#put(towerHash("author", authorId), 1);
    this.#put(towerHash("post", postId), 1);
    return row;
  }

  #begin(rows: TowerRows, row: number): void {
    this.#hashes = rows.hashes;
    this.#weights = rows.weights;
    this.#at = row * rows.slots;
  }

  /** Writes the next entry; one without hash or weight stays empty. */
  #put(hash: number, weight: number): void {
    const empty = hash === 0 || weight === 0;
    this.#hashes[this.#at] = empty ? 0 : hash;
    this.#weights[this.#at] = empty ? 0 : weight;
    this.#at++;
  }

  /** What the viewer makes of each kind of media, as if a post of it were looked at. */
  #mediaTastes(
    view: StateView,
    userId: string,
    nowMs: number,
    out: Float32Array,
    at: number,
  ): void {
    const count = USER_TOWER.mediaFeatures.length;
    this.#media.begin(view, { userId, nowMs });
    MEDIA_POSTS.forEach((post, kind) => {
      this.#media.rowOf(post, undefined, this.#scratch, NO_IDS, 0);
      out.set(this.#scratch.subarray(0, count), at + kind * count);
    });
  }

  /** The viewer's strongest topics, all interests together and then what engagements alone show. */
  #taste(view: StateView, userId: string, nowMs: number, user: Float64Array | undefined): void {
    const interests = this.#interests;
    const global = view.get("global", GLOBAL_KEY);
    const known = interests.load(
      view,
      INTEREST_OFFSETS,
      userId,
      nowMs,
      global,
      user,
      globalRate(global, INTEREST),
    );
    const topics = known ? interests.topics : 0;
    const { taste, engagedLift } = interests;
    const order = this.#order.subarray(0, topics);
    for (let k = 0; k < topics; k++) order[k] = k;
    for (const values of [taste, engagedLift]) {
      order.sort((a, b) => Math.abs(values[b] as number) - Math.abs(values[a] as number) || a - b);
      for (let i = 0; i < TASTE_TOPICS; i++) {
        const k = order[i];
        this.#put(
          k === undefined ? 0 : interests.topicAt(k),
          k === undefined ? 0 : (values[k] as number),
        );
      }
    }
  }

  /** Authors (`ofAuthors`) or posts of the recent engagements, their squared weights summing to 1. */
  #recent(user: Float64Array | undefined, nowMs: number, ofAuthors: boolean): void {
    const from = this.#at;
    const end = from + USER_TOWER.bags.find(({ name }) => name === "recent_posts")!.slots;
    let square = 0;
    if (user !== undefined)
      eachRecentEngagement(user, RECENT_AT, (timeMs, post, author, interest) => {
        const weight = interest * 2 ** (-Math.max(0, nowMs - timeMs) / RECENT_HALF_LIFE_MS);
        square += weight * weight;
        this.#put(ofAuthors ? author : post, weight);
      });
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let i = from; i < this.#at; i++) this.#weights[i] = (this.#weights[i] as number) * scale;
    while (this.#at < end) this.#put(0, 0);
  }

  /** The newest followed authors, each with weight 1/√n. */
  #followed(view: StateView, userId: string): void {
    const end = this.#at + POOLED_FOLLOWS;
    const list = view.get("user_follows", userId);
    const ids: string[] = [];
    if (list !== undefined) eachFollow(list, INTEREST_OFFSETS.followList, (id) => ids.push(id));
    const pooled = ids.slice(-POOLED_FOLLOWS);
    for (const id of pooled) this.#put(followHash(id), 1 / Math.sqrt(pooled.length));
    while (this.#at < end) this.#put(0, 0);
  }
}

const followHashes = new Map<string, number>();
const REMEMBERED = 100_000;

function followHash(id: string): number {
  const known = followHashes.get(id);
  if (known !== undefined) return known;
  if (followHashes.size >= REMEMBERED) followHashes.clear();
  const hash = towerHash("author", id);
  followHashes.set(id, hash);
  return hash;
}
