import { type Random, random } from "../random.ts";
import { type CandidatePool, createPools, POOL_LIMIT } from "./candidate-pool.ts";
import { EXPLORATION, explore } from "./exploration.ts";
import type { Population } from "./population.ts";
import { NO_LABEL } from "./posts.ts";
import { HOUR_MS } from "./settings.ts";
import { TOPIC_COUNT } from "./topics.ts";
import type { VisibleState } from "./visible-state.ts";

/** Who ordered a logged page, and how often. */
export const POLICIES = ["chronological", "popularity", "earlier_ranker"] as const;
export const CHRONOLOGICAL = 0;
export const POPULARITY = 1;
export const EARLIER_RANKER = 2;
const POLICY_SHARES = [0.35, 0.2, 0.45] as const;

export const PAGE_SIZE = 25;
const RANKER_HALF_LIFE_MS = 8 * HOUR_MS;
/** What the ranker takes a topic's rate to be when there is no label. */
const UNLABELLED_RATE = 0.12;
const IN_NETWORK_BONUS = 1.5;

export function drawPolicy(source: Random): number {
  const lot = source.next();
  return lot < POLICY_SHARES[0] ? 0 : lot < POLICY_SHARES[0] + POLICY_SHARES[1] ? 1 : 2;
}

/** A logged page; its arrays are reused by the next one. */
export interface Page {
  size: number;
  /** [size] */
  readonly posts: Int32Array;
  /** [size] probability that the policy put this post into this slot, given the pool. */
  readonly propensities: Float64Array;
}

/**
 * The policies that filled the log. They know the log only (`VisibleState`). A page is the best `PAGE_SIZE` of the
 * request's pool; then `explore` randomises it.
 */
export function createPolicies(
  population: Population,
  state: VisibleState,
): (policy: number, user: number, timeMs: number, source: Random) => Page {
  const { posts, seed } = population;
  const page: Page = {
    size: 0,
    posts: new Int32Array(PAGE_SIZE),
    propensities: new Float64Array(PAGE_SIZE),
  };
  const gather = createPools(population, state);
  const scores = new Float64Array(POOL_LIMIT);
  const rest = new Int32Array(POOL_LIMIT);
  const inPage = new Uint8Array(POOL_LIMIT);
  const best = new Int32Array(PAGE_SIZE);

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
        ? UNLABELLED_RATE
        : (0.6 + state.topicInterest[cell]!) / (5 + state.topicImpressions[cell]!);
    const byPost = (0.6 + state.postInterest[post]!) / (5 + state.postImpressions[post]!);
    const age = timeMs - posts.createdMs[post]!;
    const fresh = 0.1 + 0.9 * Math.exp((-Math.LN2 * age) / RANKER_HALF_LIFE_MS);
    const content = Math.sqrt(positive(byTopic) * positive(byPost));
    return positive(byAuthor) * content * fresh * (isInNetwork ? IN_NETWORK_BONUS : 1);
  };

  const scorePool = (pool: CandidatePool, policy: number, user: number, timeMs: number): void => {
    for (let i = 0; i < pool.size; i++) {
      const post = pool.posts[i]!;
      const isInNetwork = i < pool.inNetworkSize;
      // Chronological is the following feed: newest first, and what is not followed only fills up.
      if (policy === CHRONOLOGICAL) scores[i] = isInNetwork ? post : post - posts.count;
      else if (policy === POPULARITY) scores[i] = state.popularity(post, timeMs);
      else scores[i] = rankerScore(user, post, timeMs, isInNetwork);
    }
  };

  /** Indices into the pool of the best, descending; ties go to the earlier in the pool. */
  const selectBest = (poolSize: number): number => {
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
    const sources = { popular: policy !== CHRONOLOGICAL, labels: policy === EARLIER_RANKER };
    const pool = gather(user, timeMs, sources, source);
    scorePool(pool, policy, user, timeMs);
    page.size = selectBest(pool.size);
    inPage.fill(0, 0, pool.size);
    for (let i = 0; i < page.size; i++) {
      inPage[best[i]!] = 1;
      page.posts[i] = pool.posts[best[i]!]!;
    }
    let restSize = 0;
    for (let i = 0; i < pool.size; i++) if (inPage[i] === 0) rest[restSize++] = pool.posts[i]!;
    const lot = random(seed, "explore", user, timeMs);
    explore(page.posts, page.size, rest, restSize, EXPLORATION, page.propensities, lot);
    return page;
  };
}

/** Rates stay above 0, so that products still order posts with bad marks. */
function positive(rate: number): number {
  return Math.max(0.01, rate);
}
