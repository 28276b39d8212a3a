import { type Random, random } from "../../datasets/random.ts";
import { POST_TOWER, USER_TOWER, widthOf } from "../../features/tower-inputs.ts";
import type { TowerRows } from "../../features/tower-rows.ts";
import type { Fed } from "../graph/run-tfjs.ts";
import { type HashedBags, PooledBatch } from "../models/hashed-bags.ts";
import type { TowerLog } from "../tower-log.ts";
import type { TowerExamples } from "./tower-examples.ts";
import { EMPTY_PLACE, type TowerLists } from "./tower-lists.ts";
import type { TwoTowerSettings } from "./two-tower-options.ts";

/** Added to the logit of a candidate that is the viewer's own post again, or of no post: e to it is 0. */
const SAME_POST = -1e4;
/** Bags of the user tower that tell what the viewer did; the others come from profile and follows. */
const HISTORY = new Set([
  "taste",
  "engaged_topics",
  "recent_authors",
  "recent_posts",
  "followed_authors",
]);
const HISTORY_BAGS = USER_TOWER.bags.map(({ name }) => HISTORY.has(name));
const POST_BAG = POST_TOWER.bags.findIndex(({ name }) => name === "post");
const AUTHOR_BAG = POST_TOWER.bags.findIndex(({ name }) => name === "author");

/**
 * The buffers of one two-tower minibatch: b viewers; 3b posts, each viewer's welcomed one, shunned one, one by lot; then
 * the posts of each viewer's list, where there are lists.
 */
export class TowerBatch {
  readonly feeds: Readonly<Record<string, Fed>>;
  readonly users: PooledBatch;
  readonly posts: PooledBatch;
  readonly #userFeatures: Float32Array;
  readonly #postFeatures: Float32Array;
  readonly #corrections: Float32Array;
  readonly #rowWeights: Float32Array;
  readonly #pairWeights: Float32Array;
  readonly #numbers: Int32Array;
  readonly #logQ: Float64Array;
  readonly #size: number;
  readonly #settings: TwoTowerSettings;
  readonly #lists: TowerLists | undefined;
  readonly #listTarget: Float32Array;
  readonly #listMask: Float32Array;

  constructor(
    size: number,
    embeddings: HashedBags,
    settings: TwoTowerSettings,
    lists?: TowerLists,
  ) {
    this.#size = size;
    this.#settings = settings;
    this.#lists = lists;
    const places = lists?.places ?? 0;
    const posts = (3 + places) * size;
    this.users = new PooledBatch(USER_TOWER, embeddings, size);
    this.posts = new PooledBatch(POST_TOWER, embeddings, posts);
    const [du, dp] = [widthOf(USER_TOWER), widthOf(POST_TOWER)];
    this.#userFeatures = new Float32Array(size * du);
    this.#postFeatures = new Float32Array(posts * dp);
    this.#listTarget = new Float32Array(size * places);
    this.#listMask = new Float32Array(size * places);
    this.#corrections = new Float32Array(size * 3 * size);
    this.#rowWeights = new Float32Array(size);
    this.#pairWeights = new Float32Array(size);
    this.#numbers = new Int32Array(3 * size);
    this.#logQ = new Float64Array(3 * size);
    this.feeds = {
      user_features: { data: this.#userFeatures, shape: [size, du] },
      user_pooled: { data: this.users.pooled, shape: [size, this.users.pooled.length / size] },
      post_features: { data: this.#postFeatures, shape: [posts, dp] },
      post_pooled: { data: this.posts.pooled, shape: [posts, this.posts.pooled.length / posts] },
      corrections: { data: this.#corrections, shape: [size, 3 * size] },
      row_weights: { data: this.#rowWeights, shape: [size] },
      pair_weights: { data: this.#pairWeights, shape: [size] },
      ...(places > 0 && {
        list_target: { data: this.#listTarget, shape: [size, places] },
        list_mask: { data: this.#listMask, shape: [size, places] },
      }),
    };
  }

  /** Fills the buffers with examples `order[from … from + size)`. What is random depends on seed and step only. */
  fill(
    log: TowerLog,
    examples: TowerExamples,
    order: Int32Array,
    from: number,
    seed: number,
    step: number,
  ): void {
    const b = this.#size;
    const draws = random(seed, "tower step", step);
    this.users.clear();
    this.posts.clear();
    let total = 0;
    let pairs = 0;
    for (let i = 0; i < b; i++) {
      const example = order[from + i] as number;
      const row = examples.welcomed[example] as number;
      const shunned = examples.shunned[example] as number;
      const user = log.userOf[row] as number;
      const { historyDropout } = this.#settings;
      this.#put(log.users, user, this.#userFeatures, i);
      this.users.fill(
        log.users,
        user,
        i,
        (bag) => HISTORY_BAGS[bag] === true && draws.next() < historyDropout,
      );
      // Of the lots only uniform ones are candidates of the softmax: of those it is known how often each post comes.
      const firstLot = user * log.lotsPerRequest;
      const lot = firstLot + draws.below(log.uniformPerRequest);
      this.#post(log.posts, row, i, examples.postOf[row] as number, draws);
      // Without a shunned post the place is filled by one by lot, and the pair counts nothing.
      if (shunned >= 0)
        this.#post(log.posts, shunned, b + i, examples.postOf[shunned] as number, draws);
      else this.#byLot(log, firstLot + draws.below(log.uniformPerRequest), b + i, draws);
      this.#byLot(log, lot, 2 * b + i, draws);
      this.#rowWeights[i] = examples.weight[example] as number;
      this.#pairWeights[i] = examples.pairWeight[example] as number;
      total += this.#rowWeights[i] as number;
      pairs += this.#pairWeights[i] as number;
      const byLot = 1 / Math.max(1, log.eligible[user] as number);
      for (const place of [i, b + i, 2 * b + i]) this.#logQ[place] = byLot;
      this.#list(log, user, i, draws);
    }
    for (let i = 0; i < b; i++) {
      this.#rowWeights[i] = (this.#rowWeights[i] as number) / total;
      this.#pairWeights[i] = (this.#pairWeights[i] as number) / Math.max(pairs, 1e-9);
    }
    this.#correct(examples);
  }

  /** The list of a viewer's request, behind the candidates of the softmax. */
  #list(log: TowerLog, user: number, i: number, draws: Random): void {
    if (this.#lists === undefined) return;
    const { places, posts, target } = this.#lists;
    for (let place = 0; place < places; place++) {
      const at = i * places + place;
      const post = posts[user * places + place] as number;
      this.#listTarget[at] = target[user * places + place] as number;
      this.#listMask[at] = post === EMPTY_PLACE ? SAME_POST : 0;
      if (post === EMPTY_PLACE) continue;
      const [rows, from] = post >= 0 ? [log.posts, post] : [log.lots, -1 - post];
      this.#inputs(rows, from, 3 * this.#size + at, draws);
    }
  }

  /** −ln Q of every candidate under the three ways in which it could have come into the batch. */
  #correct(examples: TowerExamples): void {
    const b = this.#size;
    const { exposureCorrection } = this.#settings;
    const { welcomedShare, shunnedShare, shownShare } = examples;
    for (let j = 0; j < 3 * b; j++) {
      const post = this.#numbers[j] as number;
      const byLot = this.#logQ[j] as number;
      const q = ((welcomedShare[post] ?? 0) + (shunnedShare[post] ?? 0) + byLot) / 3;
      // A post that was never shown is taken as shown half as often as by lot.
      const shown = (shownShare[post] ?? 0) + byLot / 2;
      this.#logQ[j] = -Math.log(q) + exposureCorrection * Math.log(shown);
    }
    for (let i = 0; i < b; i++) {
      const own = this.#numbers[i] as number;
      for (let j = 0; j < 3 * b; j++)
        this.#corrections[i * 3 * b + j] =
          j !== i && this.#numbers[j] === own ? SAME_POST : (this.#logQ[j] as number);
    }
  }

  #byLot(log: TowerLog, lot: number, to: number, draws: Random): void {
    this.#post(log.lots, lot, to, log.lotPost[lot] as number, draws);
  }

  #post(rows: TowerRows, from: number, to: number, number: number, draws: Random): void {
    this.#inputs(rows, from, to, draws);
    this.#numbers[to] = number;
  }

  #inputs(rows: TowerRows, from: number, to: number, draws: Random): void {
    const { postIdDropout, authorDropout } = this.#settings;
    this.#put(rows, from, this.#postFeatures, to);
    this.posts.fill(
      rows,
      from,
      to,
      (bag) =>
        (bag === POST_BAG && draws.next() < postIdDropout) ||
        (bag === AUTHOR_BAG && draws.next() < authorDropout),
    );
  }

  #put(rows: TowerRows, from: number, into: Float32Array, to: number): void {
    const { width } = rows;
    into.set(rows.features.subarray(from * width, (from + 1) * width), to * width);
  }
}
