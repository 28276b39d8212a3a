import type { Random } from "../random.ts";
import { createPopularList } from "./popular-list.ts";
import type { Population } from "./population.ts";
import { firstAtOrAfter, NO_LABEL } from "./posts.ts";
import { HOUR_MS } from "./settings.ts";
import { TOPIC_COUNT } from "./topics.ts";
import { SEEN_KEPT_MS, type VisibleState } from "./visible-state.ts";

const IN_NETWORK_HOURS = 36;
const IN_NETWORK_LIMIT = 150;
const PER_AUTHOR = 25;
const POPULAR_LIMIT = 120;
const TOPIC_LIMIT = 40;
const TOPIC_DEPTH = 400;
const RECENT_LIMIT = 40;
const RECENT_HOURS = 24;
export const POOL_LIMIT = IN_NETWORK_LIMIT + POPULAR_LIMIT + 2 * TOPIC_LIMIT + RECENT_LIMIT;

/** What a logging policy chooses from; its arrays are reused by the next request. */
export interface CandidatePool {
  readonly posts: Int32Array;
  readonly size: number;
  /** The first this many are in-network. */
  readonly inNetworkSize: number;
}

export interface PoolSources {
  readonly popular: boolean;
  /** Newest posts of the two labels that the person engaged with most readily. */
  readonly labels: boolean;
}

/**
 * Gathers unseen posts: the newest in-network ones, what `sources` asks for, and a few random recent ones, which are
 * in every pool so that exploration reaches beyond the network.
 */
export function createPools(
  population: Population,
  state: VisibleState,
): (user: number, timeMs: number, sources: PoolSources, source: Random) => CandidatePool {
  const { posts, users } = population;
  const pool = new Int32Array(POOL_LIMIT);
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

  return (user, timeMs, sources, source) => {
    stamp++;
    poolSize = 0;
    for (const author of state.followedAuthors[user]!) followed[author] = stamp;
    markSeen(state, posts.createdMs, user, timeMs, taken, stamp);
    addInNetwork(user, timeMs);
    if (sources.popular) addPopular(user, timeMs);
    if (sources.labels) addByLabel(user);
    addRecent(user, timeMs, source);
    return { posts: pool, size: poolSize, inNetworkSize };
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
