import { type Random, random } from "../random.ts";
import { EXPLORATION, explore } from "./exploration.ts";
import type { Population } from "./population.ts";
import { NO_LABEL } from "./posts.ts";
import { HOUR_MS } from "./settings.ts";
import { TOPIC_COUNT } from "./topics.ts";
import { SEEN_KEPT_MS, type VisibleState } from "./visible-state.ts";

/** Who ordered a logged page, and how often. */
export const POLICIES = ["chronological", "popularity", "earlier_ranker"] as const;
export const CHRONOLOGICAL = 0;
export const POPULARITY = 1;
export const EARLIER_RANKER = 2;
const POLICY_SHARES = [0.35, 0.2, 0.45] as const;

export const PAGE_SIZE = 25;
const IN_NETWORK_HOURS = 36;
const IN_NETWORK_LIMIT = 150;
const PER_AUTHOR = 25;
const POPULAR_LIMIT = 120;
const POPULAR_HOURS = 24;
const REFRESH_MS = 20 * 60_000;
const TOPIC_LIMIT = 40;
const TOPIC_DEPTH = 400;
const RECENT_LIMIT = 40;
const RECENT_HOURS = 24;
const POOL_LIMIT = IN_NETWORK_LIMIT + POPULAR_LIMIT + 2 * TOPIC_LIMIT + RECENT_LIMIT;
const RANKER_HALF_LIFE_MS = 8 * HOUR_MS;

export function drawPolicy(source: Random): number {
  const lot = source.next();
  return lot < POLICY_SHARES[0] ? 0 : lot < POLICY_SHARES[0] + POLICY_SHARES[1] ? 1 : 2;
}

/** A logged page; its arrays are reused by the next one. */
export interface Page {
  size: number;
  /** [size] */
  readonly posts: Int32Array;
  /** [size] probability that the policy put this post into this slot. */
  readonly propensities: Float64Array;
}

/**
 * The policies that filled the log. They know the log only (`VisibleState`). A page is the best `PAGE_SIZE` of a pool of
 * unseen posts – newest in-network, and depending on the policy popular ones, newest ones of the labels that the person
 * engaged with – and a few random recent ones; then `explore` randomises it.
 */
export function createPolicies(
  population: Population,
  state: VisibleState,
): (policy: number, user: number, timeMs: number, source: Random) => Page {
  const { posts, users, seed } = population;
  const page: Page = {
    size: 0,
    posts: new Int32Array(PAGE_SIZE),
    propensities: new Float64Array(PAGE_SIZE),
  };
  const pool = new Int32Array(POOL_LIMIT);
  const scores = new Float64Array(POOL_LIMIT);
  const rest = new Int32Array(POOL_LIMIT);
  const inPage = new Uint8Array(POOL_LIMIT);
  const best = new Int32Array(PAGE_SIZE);
  let poolSize = 0;
  let inNetworkSize = 0;
  let nearby = new Int32Array(4096);
  /** The request (stamp) that last ruled a post out or took it in. */
  const taken = new Int32Array(posts.count);
  const followed = new Int32Array(users.authors);
  let stamp = 0;
  const popular = createPopularList(population, state);
  const newestByLabel: number[][] = Array.from({ length: TOPIC_COUNT }, () => []);
  let labelled = 0;

  const add = (post: number): void => {
    taken[post] = stamp;
    pool[poolSize++] = post;
  };
  const isFree = (post: number): boolean => taken[post] !== stamp && state.exists[post] === 1;
  const isOutside = (user: number, post: number): boolean =>
    isFree(post) &&
    followed[posts.author[post]!] !== stamp &&
    posts.author[post] !== user &&
    !state.isHidden(user, posts.author[post]!);

  const addInNetwork = (user: number, timeMs: number): void => {
    const oldest = timeMs - IN_NETWORK_HOURS * HOUR_MS;
    let n = 0;
    for (const author of state.followedAuthors[user]!) {
      if (state.isHidden(user, author)) continue;
      const first = posts.authorOffsets[author]!;
      const last = first + state.authorPosts[author]! - 1;
      for (let i = last; i >= first && i > last - PER_AUTHOR; i--) {
        const post = posts.byAuthor[i]!;
        if (posts.createdMs[post]! < oldest) break;
        if (!isFree(post)) continue;
        if (n === nearby.length) {
          const wider = new Int32Array(n * 2);
          wider.set(nearby);
          nearby = wider;
        }
        nearby[n++] = post;
      }
    }
    const byTime = nearby.subarray(0, n).sort();
    for (let i = n - 1; i >= 0 && poolSize < IN_NETWORK_LIMIT; i--) add(byTime[i]!);
    inNetworkSize = poolSize;
  };

  const addPopular = (user: number, timeMs: number): void => {
    let left = POPULAR_LIMIT;
    for (const post of popular(timeMs)) {
      if (left === 0) return;
      if (!isOutside(user, post)) continue;
      add(post);
      left--;
    }
  };

  const addByLabel = (user: number): void => {
    for (; labelled < state.postsOut; labelled++) {
      const label = posts.label[labelled]!;
      if (label !== NO_LABEL) newestByLabel[label]!.push(labelled);
    }
    for (const topic of favouriteLabels(state, user)) {
      const list = newestByLabel[topic]!;
      let left = TOPIC_LIMIT;
      for (let i = list.length - 1; i >= 0 && i > list.length - TOPIC_DEPTH && left > 0; i--) {
        if (!isOutside(user, list[i]!)) continue;
        add(list[i]!);
        left--;
      }
    }
  };

  const addRecent = (user: number, timeMs: number, source: Random): void => {
    const oldest = timeMs - RECENT_HOURS * HOUR_MS;
    const first = firstAtOrAfter(posts.createdMs, oldest, state.postsOut);
    const width = state.postsOut - first;
    if (width === 0) return;
    for (let i = 0; i < RECENT_LIMIT; i++) {
      const post = first + source.below(width);
      if (isOutside(user, post)) add(post);
    }
  };

  const rankerScore = (
    user: number,
    post: number,
    timeMs: number,
    isInNetwork: boolean,
  ): number => {
    const author = posts.author[post]!;
    const byAuthor = state.authorRate(user, author);
    const label = posts.label[post]!;
    const cell = user * TOPIC_COUNT + label;
    const byTopic =
      label === NO_LABEL
        ? 0.12
        : (0.6 + state.topicInterest[cell]!) / (5 + state.topicImpressions[cell]!);
    const byPost = (0.6 + state.postInterest[post]!) / (5 + state.postImpressions[post]!);
    const age = timeMs - posts.createdMs[post]!;
    const fresh = 0.1 + 0.9 * Math.exp((-Math.LN2 * age) / RANKER_HALF_LIFE_MS);
    const content = Math.sqrt(positive(byTopic) * positive(byPost));
    return positive(byAuthor) * content * fresh * (isInNetwork ? 1.5 : 1);
  };

  const scorePool = (policy: number, user: number, timeMs: number): void => {
    for (let i = 0; i < poolSize; i++) {
      const post = pool[i]!;
      const isInNetwork = i < inNetworkSize;
      // Chronological is the following feed: newest first, and what is not followed only fills up.
      if (policy === CHRONOLOGICAL) scores[i] = isInNetwork ? post : post - posts.count;
      else if (policy === POPULARITY) scores[i] = state.popularity(post, timeMs);
      else scores[i] = rankerScore(user, post, timeMs, isInNetwork);
    }
  };

  /** Indices into the pool of the best, descending; ties go to the earlier in the pool. */
  const selectBest = (): number => {
    let size = 0;
    for (let i = 0; i < poolSize; i++) {
      const score = scores[i]!;
      if (size === PAGE_SIZE && score <= scores[best[size - 1]!]!) continue;
      let at = size < PAGE_SIZE ? size++ : size - 1;
      while (at > 0 && scores[best[at - 1]!]! < score) {
        best[at] = best[at - 1]!;
        at--;
      }
      best[at] = i;
    }
    return size;
  };

  return (policy, user, timeMs, source) => {
    stamp++;
    poolSize = 0;
    for (const author of state.followedAuthors[user]!) followed[author] = stamp;
    markSeen(state, posts.createdMs, user, timeMs, taken, stamp);
    addInNetwork(user, timeMs);
    if (policy !== CHRONOLOGICAL) addPopular(user, timeMs);
    if (policy === EARLIER_RANKER) addByLabel(user);
    addRecent(user, timeMs, source);

    scorePool(policy, user, timeMs);
    page.size = selectBest();
    inPage.fill(0, 0, poolSize);
    for (let i = 0; i < page.size; i++) {
      inPage[best[i]!] = 1;
      page.posts[i] = pool[best[i]!]!;
    }
    let restSize = 0;
    for (let i = 0; i < poolSize; i++) if (inPage[i] === 0) rest[restSize++] = pool[i]!;
    const lot = random(seed, "explore", user, timeMs);
    explore(page.posts, page.size, rest, restSize, EXPLORATION, page.propensities, lot);
    return page;
  };
}

/** Rates stay above 0, so that products still order posts with bad marks. */
function positive(rate: number): number {
  return Math.max(0.01, rate);
}

/** The most popular posts of the last day, best first, refreshed every 20 minutes. */
function createPopularList(
  population: Population,
  state: VisibleState,
): (timeMs: number) => readonly number[] {
  const { posts } = population;
  let list: number[] = [];
  let madeMs = Number.NEGATIVE_INFINITY;
  return (timeMs) => {
    if (timeMs - madeMs < REFRESH_MS) return list;
    madeMs = timeMs;
    const first = firstAtOrAfter(posts.createdMs, timeMs - POPULAR_HOURS * HOUR_MS, state.postsOut);
    const score = new Float64Array(state.postsOut - first);
    const found: number[] = [];
    for (let post = first; post < state.postsOut; post++) {
      const popularity = state.exists[post] === 1 ? state.popularity(post, timeMs) : 0;
      score[post - first] = popularity;
      if (popularity > 0) found.push(post);
    }
    found.sort((a, b) => score[b - first]! - score[a - first]! || b - a);
    list = found.slice(0, 4 * POPULAR_LIMIT);
    return list;
  };
}

/** The two labels with the highest smoothed interest per impression. */
function favouriteLabels(state: VisibleState, user: number): number[] {
  let first = 0;
  let second = 1;
  let firstRate = -1;
  let secondRate = -1;
  for (let i = 0; i < TOPIC_COUNT; i++) {
    // Ties, which is all that a newcomer has, fall differently for each person.
    const k = (i + user) % TOPIC_COUNT;
    const cell = user * TOPIC_COUNT + k;
    const rate =
      Math.max(0, 0.6 + state.topicInterest[cell]!) / (5 + state.topicImpressions[cell]!);
    if (rate > firstRate) {
      second = first;
      secondRate = firstRate;
      first = k;
      firstRate = rate;
    } else if (rate > secondRate) {
      second = k;
      secondRate = rate;
    }
  }
  return [first, second];
}

/** Rules out what the person saw, and forgets what is too old to come back. */
function markSeen(
  state: VisibleState,
  createdMs: Float64Array,
  user: number,
  timeMs: number,
  taken: Int32Array,
  stamp: number,
): void {
  const seen = state.seen[user]!;
  let kept = 0;
  for (const post of seen) {
    if (createdMs[post]! < timeMs - SEEN_KEPT_MS) continue;
    taken[post] = stamp;
    seen[kept++] = post;
  }
  seen.length = kept;
}

function firstAtOrAfter(times: Float64Array, timeMs: number, end: number): number {
  let low = 0;
  let high = end;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
