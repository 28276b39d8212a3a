import { HnswIndex } from "../../candidates/vector-index/hnsw-index.ts";
import { Nearest } from "../../candidates/vector-index/nearest.ts";
import type { Event, EventOf } from "../../datasets/events.ts";
import type { World } from "../../datasets/world/world.ts";
import { WORLD_WEIGHTS } from "../../datasets/world/world-weights.ts";
import {
  type BootstrapOptions,
  bootstrapAll,
  type Interval,
} from "../../experiments/metrics/bootstrap.ts";
import { POST_TOWER, USER_TOWER } from "../../features/tower-inputs.ts";
import { TowerReader } from "../../features/tower-reader.ts";
import { TowerRows } from "../../features/tower-rows.ts";
import type { TowerSession } from "../inference/tower-session.ts";
import type { BroadcastState } from "../state/live-state.ts";
import type { Moment } from "./held-out.ts";
import { visibleValues } from "./visible-value.ts";

/** How many posts a source brings, and how many of the oracle's it should have brought. */
const RETRIEVED = 500;
const TOP = 100;
const HOUR_MS = 3_600_000;
/** Posts are embedded this often; requests in between meet vectors of that age, as a server's would. */
const EVERY_MS = 2 * HOUR_MS;
/** Posts that an HNSW index is built of for its recall: more would take minutes. */
const INDEXED = 30_000;
/** Requests that the index is asked. */
const INDEX_QUERIES = 40;

/** What `roost evaluate` says of retrieval: means over requests, with intervals from resampling viewers. */
export interface TowerRecallReport {
  readonly requests: number;
  /** Out-of-network posts that could have been retrieved, mean a request. */
  readonly eligible: number;
  readonly window_hours: number;
  /**
   * Share of the oracle's best 100 among the 500 retrieved, by source; `by_lot` = 500 ÷ eligible. `popularity` is the source
   * `popular`, which knows the viewer's languages; `most_popular` the 500 eligible posts with the largest counts, in any language.
   */
  readonly recall: Readonly<Record<RecallSource, Interval>>;
  readonly two_tower_over_popularity: Interval;
  readonly two_tower_over_most_popular: Interval;
  /** Share of the oracle's worst 100 among them: low is good. */
  readonly recall_of_negatives: Readonly<Record<"two_tower" | "popularity", Interval>>;
  /** The same recall for viewers with at most three engagements that are remembered. */
  readonly newcomers: { readonly requests: number; readonly recall: Interval } | null;
  /** Share of the exact 500 nearest that the HNSW index finds. */
  readonly index_recall: Interval | null;
}

type RecallSource = "two_tower" | "popularity" | "most_popular" | "visible_oracle" | "by_lot";

interface Judged {
  readonly eligible: number;
  readonly newcomer: boolean;
  readonly found: Readonly<Record<RecallSource, number>>;
  readonly worst: Readonly<Record<"two_tower" | "popularity", number>>;
}

interface Checkpoint {
  readonly postIds: readonly string[];
  readonly authorIds: readonly string[];
  /** [posts, dimension]. */
  readonly vectors: Float32Array;
  taken: number;
}

export interface TowerRecallOptions {
  readonly requests: number;
  readonly windowHours: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * Judges the towers against the truth: of the posts that were out of the viewer's network and unseen, which 100 are worth
 * most, and how many of them are among the 500 nearest? Each viewer once, evenly over the range.
 */
export class TowerRecallJudge {
  readonly #world: World;
  readonly #user: TowerSession;
  readonly #post: TowerSession;
  readonly #options: TowerRecallOptions;
  readonly #perCheckpoint: number;
  readonly #reader = new TowerReader();
  readonly #created = new Map<string, { readonly authorId: string; readonly timeMs: number }>();
  readonly #done = new Set<string>();
  readonly #judged: Judged[] = [];
  readonly #queries: Float32Array[] = [];
  #checkpoint: Checkpoint | undefined;
  #nextMs: number;

  constructor(world: World, user: TowerSession, post: TowerSession, options: TowerRecallOptions) {
    this.#world = world;
    this.#user = user;
    this.#post = post;
    this.#options = options;
    const checkpoints = Math.max(1, Math.floor((options.toMs - options.fromMs) / EVERY_MS));
    this.#perCheckpoint = Math.max(1, Math.ceil(options.requests / checkpoints));
    this.#nextMs = options.fromMs;
  }

  /** Takes every event of the log, in order, after `request` has seen it. */
  observe(event: Event): void {
    if (event.type === "post_created" && event.repost_of_post_id === undefined)
      this.#created.set(event.post_id, { authorId: event.author_id, timeMs: event.time_ms });
    else if (event.type === "post_deleted") this.#created.delete(event.post_id);
  }

  /** Judges an impression's viewer as one who asks for a page then; undefined when it is not one to judge. */
  request(event: EventOf<"impression">, moment: Moment): Promise<void> | undefined {
    const due = event.time_ms >= this.#nextMs;
    const full = this.#checkpoint !== undefined && this.#checkpoint.taken >= this.#perCheckpoint;
    if (this.#done.has(event.user_id) || (full && !due)) return undefined;
    return this.#judge(event, moment, due);
  }

  async #judge(event: EventOf<"impression">, moment: Moment, due: boolean): Promise<void> {
    const { user_id: userId, time_ms: timeMs } = event;
    if (due || this.#checkpoint === undefined) {
      while (this.#nextMs <= timeMs) this.#nextMs += EVERY_MS;
      this.#checkpoint = await this.#embed(timeMs, moment);
    }
    const { postIds, authorIds, vectors } = this.#checkpoint;
    this.#checkpoint.taken++;
    this.#done.add(userId);
    const { broadcast, viewers, replay } = moment;
    const followed = broadcast.graph.following(userId);
    const seen = broadcast.history.seen(userId);
    const rows: number[] = [];
    for (let i = 0; i < postIds.length; i++) {
      const authorId = authorIds[i] as string;
      if (followed.has(authorId) || authorId === userId) continue;
      if (seen.has(postIds[i] as string) || viewers.isHidden(userId, authorId)) continue;
      rows.push(i);
    }
    if (rows.length <= RETRIEVED) return;
    const ids = rows.map((i) => postIds[i] as string);
    const context = viewers.context(userId, timeMs);
    const value = this.#world.trueValues(userId, ids, WORLD_WEIGHTS, context);
    const best = new Set(extreme(value, TOP));
    const worst = new Set(
      extreme(
        value.map((v) => -v),
        TOP,
      ),
    );

    const users = new TowerRows(USER_TOWER, 1);
    this.#reader.user(replay.state, userId, timeMs, users);
    const query = await this.#user.run(users);
    if (this.#queries.length < INDEX_QUERIES) this.#queries.push(query);
    else this.#queries[this.#judged.length % INDEX_QUERIES] = query;
    const d = query.length;
    const score = Float64Array.from(rows, (i) => {
      let dot = 0;
      for (let j = 0; j < d; j++) dot += (vectors[i * d + j] as number) * (query[j] as number);
      return dot;
    });
    const towers = extreme(score, RETRIEVED);
    const popular = popularAmong(ids, broadcast, userId, timeMs);
    const mostPopular = mostPopularAmong(ids, broadcast, timeMs);
    const visible = extreme(visibleValues(this.#world, userId, ids, context), RETRIEVED);
    const among = (picked: readonly number[], wanted: ReadonlySet<number>): number =>
      picked.reduce((hits, i) => hits + (wanted.has(i) ? 1 : 0), 0) / TOP;
    const recent = USER_TOWER.bags.findIndex(({ name }) => name === "recent_posts");
    const from = USER_TOWER.bags.slice(0, recent).reduce((sum, { slots }) => sum + slots, 0);
    const engaged = users.hashes.subarray(from).filter((hash) => hash !== 0).length;
    this.#judged.push({
      eligible: rows.length,
      newcomer: engaged <= 3,
      found: {
        two_tower: among(towers, best),
        popularity: among(popular, best),
        most_popular: among(mostPopular, best),
        visible_oracle: among(visible, best),
        by_lot: RETRIEVED / rows.length,
      },
      worst: { two_tower: among(towers, worst), popularity: among(popular, worst) },
    });
  }

  /** Means and intervals; null when nobody could be judged. */
  async report(bootstrap: BootstrapOptions): Promise<TowerRecallReport | null> {
    const judged = this.#judged;
    if (judged.length === 0) return null;
    const mean = (of: (request: Judged) => number, among: readonly Judged[] = judged): Interval =>
      ratio(
        among.map(of),
        among.map(() => 1),
        bootstrap,
      );
    const over = (source: RecallSource): Interval =>
      ratio(
        judged.map(({ found }) => found.two_tower),
        judged.map(({ found }) => found[source]),
        bootstrap,
      );
    const newcomers = judged.filter(({ newcomer }) => newcomer);
    return {
      requests: judged.length,
      eligible: judged.reduce((sum, { eligible }) => sum + eligible, 0) / judged.length,
      window_hours: this.#options.windowHours,
      recall: {
        two_tower: mean(({ found }) => found.two_tower),
        popularity: mean(({ found }) => found.popularity),
        most_popular: mean(({ found }) => found.most_popular),
        visible_oracle: mean(({ found }) => found.visible_oracle),
        by_lot: mean(({ found }) => found.by_lot),
      },
      two_tower_over_popularity: over("popularity"),
      two_tower_over_most_popular: over("most_popular"),
      recall_of_negatives: {
        two_tower: mean(({ worst }) => worst.two_tower),
        popularity: mean(({ worst }) => worst.popularity),
      },
      newcomers:
        newcomers.length === 0
          ? null
          : {
              requests: newcomers.length,
              recall: mean(({ found }) => found.two_tower, newcomers),
            },
      index_recall: await this.#indexRecall(bootstrap),
    };
  }

  async #embed(timeMs: number, { replay }: Moment): Promise<Checkpoint> {
    const oldestMs = timeMs - this.#options.windowHours * HOUR_MS;
    const rows = new TowerRows(POST_TOWER);
    const postIds: string[] = [];
    const authorIds: string[] = [];
    this.#reader.begin(replay.state, timeMs);
    for (const [postId, { authorId, timeMs: createdMs }] of this.#created) {
      if (createdMs < oldestMs) continue;
      postIds.push(postId);
      authorIds.push(authorId);
      this.#reader.post(replay.state, postId, authorId, rows);
    }
    return { postIds, authorIds, vectors: await this.#post.run(rows), taken: 0 };
  }

  /** Of the last posts embedded: HNSW's 500 against the exact ones, over the last viewers asked. */
  async #indexRecall(bootstrap: BootstrapOptions): Promise<Interval | null> {
    if (this.#checkpoint === undefined) return null;
    const { postIds, vectors } = this.#checkpoint;
    const n = Math.min(INDEXED, postIds.length);
    const d = this.#post.dimension;
    const index = await HnswIndex.open(d).catch(() => undefined);
    if (index === undefined) return null;
    try {
      await index.add(postIds.slice(0, n), vectors.subarray(0, n * d));
      const recalls: number[] = [];
      for (const query of this.#queries) {
        const nearest = new Nearest(RETRIEVED);
        for (let i = 0; i < n; i++) {
          let dot = 0;
          for (let j = 0; j < d; j++) dot += (vectors[i * d + j] as number) * (query[j] as number);
          nearest.push(i, dot);
        }
        const exact = new Set(Array.from(nearest.sorted().items, (i) => postIds[i]));
        const found = await index.search(query, RETRIEVED);
        recalls.push(found.ids.filter((id) => exact.has(id)).length / exact.size);
      }
      return ratio(
        recalls,
        recalls.map(() => 1),
        bootstrap,
      );
    } finally {
      await index.close();
    }
  }
}

/**
 * What the source `popular` would bring if it were asked for as many: its order, in the viewer's languages, over the posts
 * that could be retrieved.
 */
export function popularAmong(
  ids: readonly string[],
  { popular, graph }: Pick<BroadcastState, "popular" | "graph">,
  userId: string,
  timeMs: number,
): number[] {
  const numbers = new Map(ids.map((id, i) => [id, i]));
  const languages = new Set(graph.languages(userId));
  const { postIds } = popular.top(timeMs, RETRIEVED, languages, (id) => numbers.has(id));
  return postIds.map((id) => numbers.get(id) as number);
}

/** Those with the largest counts, whatever their language. */
export function mostPopularAmong(
  ids: readonly string[],
  { popular }: Pick<BroadcastState, "popular">,
  timeMs: number,
): number[] {
  return extreme(popular.counts(ids, timeMs), RETRIEVED);
}

/** Numbers of the `k` largest values. */
function extreme(values: Float64Array, k: number): number[] {
  const nearest = new Nearest(Math.min(k, values.length));
  for (let i = 0; i < values.length; i++) nearest.push(i, values[i] as number);
  return [...nearest.sorted().items];
}

/** Σ above ÷ Σ below, resampled by viewer (each judged once). */
function ratio(
  above: readonly number[],
  below: readonly number[],
  options: BootstrapOptions,
): Interval {
  const sum = (values: readonly number[]) => ({
    unitCount: values.length,
    value: (weights?: ArrayLike<number>) =>
      values.reduce((total, value, i) => total + value * (weights?.[i] ?? 1), 0),
  });
  return bootstrapAll(
    [sum(above), sum(below)],
    ([top, bottom]) => (top as number) / (bottom as number),
    options,
  );
}
