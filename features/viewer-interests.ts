import type { StateView } from "./entities.ts";
import { eachFollow } from "./families/follow-list.ts";
import { AUTHOR_TOPICS, SHARED_TOPICS } from "./families/topic-shares.ts";
import { eachViewerTopic, VIEWER_TOPICS } from "./families/viewer-topics.ts";
import { forwardWeight } from "./forward-decay.ts";

/** Where the families' slots begin in their entities' vectors. */
export interface InterestOffsets {
  readonly topicShares: number;
  readonly authorTopics: number;
  readonly followList: number;
  readonly viewerTopics: number;
}

/** Followed authors' worth of everybody's topics that the followed ones are smoothed with. */
const FOLLOWED_PRIOR = 3;
/** An author of one post counts half: one post says little of what the author writes about. */
const HALF_KNOWN_POSTS = 1;
/** Impressions at the viewer's own mean that a topic's interest is smoothed with. */
const TOPIC_PRIOR = 6;
/** Impressions at everybody's mean that the viewer's own mean is smoothed with. */
const VIEWER_PRIOR = 8;
/** Share of everybody's interest below which the viewer's mean does not fall: it is divided by. */
const LEAST_MEAN = 0.1;
/** Posts at everybody's topics that an author's are smoothed with. */
export const AUTHOR_PRIOR = 2;

const TABLE = 4 * SHARED_TOPICS;

/**
 * What is known of a viewer's interests at a request, over the topics that anybody writes about: what the followed authors
 * write about, and how the viewer took to the topics shown. Arrays are by topic number (`find`), of length `topics`.
 */
export class ViewerInterests {
  topics = 0;
  /** `forwardWeight` of the request's moment: what sums of forward-decayed amounts are measured in. */
  nowWeight = 1;
  /** Followed authors whose topics are known, those of few posts counting in part. */
  followedAuthors = 0;
  /** Impressions of posts with topics, decayed. */
  impressions = 0;
  /** Everybody's share of each topic. */
  readonly prior = new Float64Array(SHARED_TOPICS);
  /** Smoothed share of each topic in what the followed authors write; sums to about 1. */
  readonly followed = new Float64Array(SHARED_TOPICS);
  /** ln(followed ÷ prior). */
  readonly followedLift = new Float64Array(SHARED_TOPICS);
  /** ln of the smoothed interest per impression of a topic over the viewer's own mean. */
  readonly engagedLift = new Float64Array(SHARED_TOPICS);
  /** Both together, followed · e^engagedLift, of length 1. */
  readonly taste = new Float64Array(SHARED_TOPICS);
  /** Euclidean length of `followed`, and dot products of the prior for smoothing authors. */
  followedLength = 0;
  priorSquare = 0;
  priorFollowed = 0;
  priorTaste = 0;
  readonly #keys = new Float64Array(TABLE);
  readonly #numbers = new Uint8Array(TABLE);
  readonly #hashes = new Float64Array(SHARED_TOPICS);

  /** The number of a topic's hash, or −1. */
  find(topic: number): number {
    let slot = topic % TABLE;
    for (; this.#keys[slot] !== 0; slot = (slot + 1) % TABLE)
      if (this.#keys[slot] === topic) return this.#numbers[slot] as number;
    return -1;
  }

  /** The hash of a topic's number. */
  topicAt(number: number): number {
    return this.#hashes[number] as number;
  }

  /** Computes everything for one request; false where no topic is known at all. */
  load(
    view: StateView,
    offsets: InterestOffsets,
    userId: string,
    nowMs: number,
    global: Float64Array | undefined,
    user: Float64Array | undefined,
    interestPerImpression: number,
  ): boolean {
    const now = forwardWeight(nowMs);
    this.nowWeight = now;
    if (global === undefined || !this.#loadPrior(global, offsets.topicShares)) return false;
    this.#loadFollowed(view, offsets, userId, now);
    this.#loadEngaged(user, offsets.viewerTopics, now, interestPerImpression);
    this.#combine();
    return true;
  }

  #loadPrior(global: Float64Array, at: number): boolean {
    this.#keys.fill(0);
    let total = 0;
    let n = 0;
    for (let i = at; n < SHARED_TOPICS && global[i] !== 0; i += 2, n++) {
      const topic = global[i] as number;
      let slot = topic % TABLE;
      while (this.#keys[slot] !== 0) slot = (slot + 1) % TABLE;
      this.#keys[slot] = topic;
      this.#numbers[slot] = n;
      this.#hashes[n] = topic;
      this.prior[n] = global[i + 1] as number;
      total += this.prior[n] as number;
    }
    this.topics = n;
    for (let k = 0; k < n; k++) this.prior[k] = (this.prior[k] as number) / total;
    return n > 0;
  }

  #loadFollowed(view: StateView, offsets: InterestOffsets, userId: string, now: number): void {
    const { followed, prior, topics } = this;
    for (let k = 0; k < topics; k++) followed[k] = FOLLOWED_PRIOR * (prior[k] as number);
    this.followedAuthors = 0;
    const list = view.get("user_follows", userId);
    if (list !== undefined)
      eachFollow(list, offsets.followList, (id) => {
        const author = view.get("author", id);
        if (author !== undefined) this.#addAuthor(author, offsets.authorTopics, now);
      });
    const total = this.followedAuthors + FOLLOWED_PRIOR;
    for (let k = 0; k < topics; k++) {
      followed[k] = (followed[k] as number) / total;
      this.followedLift[k] = Math.log((followed[k] as number) / (prior[k] as number));
    }
  }

  #addAuthor(author: Float64Array, at: number, now: number): void {
    const end = at + 2 * AUTHOR_TOPICS;
    let sum = 0;
    for (let i = at; i < end; i += 2) sum += author[i + 1] as number;
    if (sum === 0) return;
    const known = sum / (sum + HALF_KNOWN_POSTS * now);
    this.followedAuthors += known;
    const scale = known / sum;
    for (let i = at; i < end && author[i] !== 0; i += 2) {
      const k = this.find(author[i] as number);
      if (k >= 0)
        this.followed[k] = (this.followed[k] as number) + scale * (author[i + 1] as number);
    }
  }

  #loadEngaged(
    user: Float64Array | undefined,
    at: number,
    now: number,
    interestPerImpression: number,
  ): void {
    this.engagedLift.fill(0, 0, this.topics);
    this.impressions = 0;
    if (user === undefined || !(interestPerImpression > 0)) return;
    const shown = (user[at + VIEWER_TOPICS.impressions] as number) / now;
    const welcomed = (user[at + VIEWER_TOPICS.interest] as number) / now;
    this.impressions = shown;
    const mean = Math.max(
      LEAST_MEAN * interestPerImpression,
      (welcomed + VIEWER_PRIOR * interestPerImpression) / (shown + VIEWER_PRIOR),
    );
    eachViewerTopic(user, at, (topic, impressions, interest) => {
      const k = this.find(topic);
      if (k < 0) return;
      const prior = TOPIC_PRIOR * mean;
      const expected = (Math.max(0, impressions) / now) * mean + prior;
      this.engagedLift[k] = Math.log((Math.max(0, interest) / now + prior) / expected);
    });
  }

  #combine(): void {
    const { followed, prior, taste, topics } = this;
    let followedSquare = 0;
    let tasteSquare = 0;
    this.priorSquare = 0;
    for (let k = 0; k < topics; k++) {
      taste[k] = (followed[k] as number) * Math.exp(this.engagedLift[k] as number);
      followedSquare += (followed[k] as number) ** 2;
      tasteSquare += (taste[k] as number) ** 2;
      this.priorSquare += (prior[k] as number) ** 2;
    }
    this.followedLength = Math.sqrt(followedSquare);
    const length = Math.sqrt(tasteSquare);
    this.priorFollowed = 0;
    this.priorTaste = 0;
    for (let k = 0; k < topics; k++) {
      taste[k] = (taste[k] as number) / length;
      this.priorFollowed += (prior[k] as number) * (followed[k] as number);
      this.priorTaste += (prior[k] as number) * (taste[k] as number);
    }
  }
}
