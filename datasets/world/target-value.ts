import { WORLD_HEADS } from "../heads.ts";
import { hash32, random } from "../random.ts";
import { examination } from "./examination.ts";
import type { Population } from "./population.ts";
import { CLICK, RESPONSES } from "./responses.ts";
import { HOUR_MS } from "./settings.ts";
import type { TargetRow } from "./target-row.ts";
import { type Meeting, type Truth, toWorldHeads } from "./truth.ts";
import type { VisibleState } from "./visible-state.ts";
import { WORLD_WEIGHTS } from "./world-weights.ts";

/** The stated pool: this many newest in-network posts of 48 h, and as many others of the same hours by lot. */
const HALF_POOL = 250;
const POOL_HOURS = 48;
/** People with fewer in-network posts to choose from are left out. */
const LEAST_IN_NETWORK = 50;
const TOP = 10;
const PAGE = 25;
const OON_TOP = 50;
const HEADS = WORLD_HEADS.length;
const weights = Float64Array.from(WORLD_HEADS, (head) => WORLD_WEIGHTS[head] ?? 0);
const isNegative = WORLD_HEADS.map((head) => RESPONSES.some((r) => r.negative && r.head === head));

/** Sums over people of what one way of ordering their pools achieves. */
interface Achieved {
  top: number;
  topPositive: number;
  page: number;
}
const RULES = ["oracle", "chronological", "visible", "popularity", "click"] as const;
type Rule = (typeof RULES)[number];

/** What rankings are worth, measured at the first held-out request of up to `people` people. */
export class ValueTargets {
  readonly #population: Population;
  readonly #truth: Truth;
  readonly #fromMs: number;
  readonly #everyNth: number;
  readonly #done = new Set<number>();
  readonly #achieved: Record<Rule, Achieved>;
  #people = 0;
  #outside = 0;
  #varianceOfValue = 0;
  #covarianceOfNegatives = 0;

  constructor(population: Population, truth: Truth, heldOutFromMs: number, people: number) {
    this.#population = population;
    this.#truth = truth;
    // The first hours of the day would overweigh one time zone's posts of the evening before.
    this.#fromMs = heldOutFromMs;
    this.#everyNth = Math.max(1, Math.floor((0.4 * population.users.count) / people));
    const none = (): Achieved => ({ top: 0, topPositive: 0, page: 0 });
    this.#achieved = {
      oracle: none(),
      chronological: none(),
      visible: none(),
      popularity: none(),
      click: none(),
    };
  }

  observe(user: number, meeting: Meeting, state: VisibleState): void {
    if (meeting.timeMs < this.#fromMs || this.#done.has(user)) return;
    this.#done.add(user);
    const { seed } = this.#population;
    if (hash32(seed, "judged", user) % this.#everyNth !== 0) return;
    const pool = this.#pool(user, meeting, state);
    if (pool === undefined) return;
    this.#people++;
    this.#judge(user, meeting, state, pool.posts, pool.inNetwork);
  }

  rows(): TargetRow[] {
    const { oracle, chronological, visible, popularity, click } = this.#achieved;
    const share = (rule: Achieved): number =>
      (rule.page - chronological.page) / (oracle.page - chronological.page);
    const note = `gain share of the first ${PAGE}, ${this.#people} people`;
    const perPerson = (x: number): number => x / this.#people;
    return [
      {
        name: "visible ceiling",
        value: share(visible),
        min: 0.85,
        max: 0.92,
        format: "percent",
        note,
      },
      {
        name: "oracle ÷ chronological, positive",
        value: oracle.topPositive / chronological.topPositive,
        min: 2,
        max: 3,
        format: "number",
        note: `first ${TOP}; net ${perPerson(oracle.top).toFixed(3)} against ${perPerson(chronological.top).toFixed(3)}`,
      },
      {
        name: "popularity",
        value: share(popularity),
        min: -0.1,
        max: 0.35,
        format: "percent",
        note,
      },
      { name: "click head alone", value: share(click), max: 0.85, format: "percent", note },
      {
        name: "out-of-network in oracle's best 50",
        value: this.#outside / (this.#people * OON_TOP),
        min: 0.25,
        max: 0.5,
        format: "percent",
        note: `pool: newest ≤ ${HALF_POOL} in-network of ${POOL_HOURS} h, as many others of the same hours`,
      },
      {
        name: "negative heads in V's variance",
        value: this.#covarianceOfNegatives / this.#varianceOfValue,
        max: 0.35,
        format: "percent",
        note: "cov(negative part, V) / var(V) within pools",
      },
    ];
  }

  #pool(
    user: number,
    meeting: Meeting,
    state: VisibleState,
  ): { posts: number[]; inNetwork: number } | undefined {
    const { posts, seed } = this.#population;
    const oldest = meeting.timeMs - POOL_HOURS * HOUR_MS;
    const seen = new Set(state.seen[user]!);
    const isFree = (post: number): boolean =>
      state.exists[post] === 1 &&
      !seen.has(post) &&
      posts.author[post] !== user &&
      !state.isHidden(user, posts.author[post]!);
    const followed = new Set(state.followedAuthors[user]!);
    const inside: number[] = [];
    for (let p = state.postsOut - 1; p >= 0 && posts.createdMs[p]! >= oldest; p--) {
      if (inside.length === HALF_POOL) break;
      if (followed.has(posts.author[p]!) && isFree(p)) inside.push(p);
    }
    if (inside.length < LEAST_IN_NETWORK) return undefined;

    const first = inside.at(-1)!;
    const source = random(seed, "pool", user);
    const outside = new Set<number>();
    for (let tries = 0; outside.size < inside.length && tries < 20 * HALF_POOL; tries++) {
      const p = first + source.below(state.postsOut - first);
      if (!followed.has(posts.author[p]!) && isFree(p)) outside.add(p);
    }
    return { posts: [...inside, ...outside], inNetwork: inside.length };
  }

  #judge(
    user: number,
    meeting: Meeting,
    state: VisibleState,
    pool: readonly number[],
    inNetwork: number,
  ): void {
    const n = pool.length;
    const positive = new Float64Array(n);
    const negative = new Float64Array(n);
    const clicks = new Float64Array(n);
    const visible = new Float64Array(n);
    const responses = new Float64Array(RESPONSES.length);
    const heads = new Float64Array(HEADS);
    this.#truth.meet(user, meeting);
    for (let i = 0; i < n; i++) {
      this.#truth.probabilities(pool[i]!, responses, 0);
      toWorldHeads(responses, 0, heads, 0);
      clicks[i] = responses[CLICK]!;
      for (let h = 0; h < HEADS; h++) {
        if (isNegative[h]) negative[i]! += weights[h]! * heads[h]!;
        else positive[i]! += weights[h]! * heads[h]!;
      }
      this.#truth.probabilities(pool[i]!, responses, 0, true);
      toWorldHeads(responses, 0, heads, 0);
      for (let h = 0; h < HEADS; h++) visible[i]! += weights[h]! * heads[h]!;
    }
    const value = positive.map((x, i) => x + negative[i]!);
    this.#addVariance(value, negative);

    const newest = Float64Array.from(pool, (p, i) => (i < inNetwork ? 1e9 : 0) + p);
    const popular = Float64Array.from(pool, (p) => state.popularity(p, meeting.timeMs));
    const orders: Record<Rule, Float64Array> = {
      oracle: value,
      chronological: newest,
      visible,
      popularity: popular,
      click: clicks,
    };
    for (const rule of RULES) {
      const order = descending(orders[rule]);
      const sum = this.#achieved[rule];
      for (let slot = 0; slot < Math.min(PAGE, n); slot++) {
        const row = order[slot]!;
        const seen = examination(slot);
        sum.page += seen * value[row]!;
        if (slot >= TOP) continue;
        sum.top += seen * value[row]!;
        sum.topPositive += seen * positive[row]!;
      }
      if (rule !== "oracle") continue;
      for (const row of order.subarray(0, OON_TOP)) if (row >= inNetwork) this.#outside++;
    }
  }

  #addVariance(value: Float64Array, negative: Float64Array): void {
    const n = value.length;
    const meanValue = value.reduce((a, b) => a + b, 0) / n;
    const meanNegative = negative.reduce((a, b) => a + b, 0) / n;
    for (let i = 0; i < n; i++) {
      const deviation = value[i]! - meanValue;
      this.#varianceOfValue += deviation ** 2 / n;
      this.#covarianceOfNegatives += (deviation * (negative[i]! - meanNegative)) / n;
    }
  }
}

function descending(scores: Float64Array): Int32Array {
  const order = Int32Array.from(scores, (_, i) => i);
  return order.sort((a, b) => scores[b]! - scores[a]! || a - b);
}
