import { readDataset } from "../../datasets/dataset.ts";
import type { Interval } from "../../experiments/metrics/bootstrap.ts";
import type { RetrievalQuestion, RetrievalReport } from "../../experiments/retrieval/judge.ts";
import { historyRecommender } from "./history-recommender.ts";
import { implicitAls } from "./implicit-als.ts";
import { InteractionCounter, type Interactions } from "./interactions.ts";
import { itemKnn } from "./item-knn.ts";
import { popularity } from "./popularity.ts";
import type { Recommender } from "./recommender.ts";
import { retrievalRecall, type Wanted } from "./retrieval-recall.ts";

const KS = [50, 100, 200] as const;

/**
 * What an action says. A plain view that no request led to counts little; the ratios, like the constants below, were
 * chosen on KuaiRand's 30 April and 1 May after learning from the days before.
 */
export const ACTION_WEIGHTS = {
  click: 1,
  long_view: 1,
  favorite: 2,
  reply: 2,
  repost: 2,
  share: 2,
  follow_author: 2,
  profile_click: 1,
  video_view: 0.3,
} as const;

/** The baselines and our towers by name, each made on its own from what was known at `nowMs`. */
export const RECOMMENDERS: Readonly<
  Record<
    string,
    (interactions: Interactions, nowMs: number, seed: number) => Recommender | Promise<Recommender>
  >
> = {
  popularity: (interactions, nowMs) => popularity(interactions, { halfLifeDays: 1, nowMs }),
  item_knn: (interactions, nowMs) =>
    itemKnn(interactions, { neighbours: 200, shrinkage: 10, halfLifeDays: 14, nowMs }),
  implicit_als: (interactions, _nowMs, seed) =>
    implicitAls(interactions, {
      dimensions: 32,
      iterations: 8,
      alpha: 10,
      regularisation: 10,
      seed,
    }),
  history_towers: (interactions, nowMs, seed) =>
    historyRecommender(interactions, {
      dimension: 64,
      batchSize: 512,
      steps: 600,
      seenShare: 0.5,
      learningRate: 0.01,
      recentDays: 1,
      usualDays: 30,
      trend: 0.7,
      threads: 2,
      nowMs,
      seed,
    }),
};

/** Judges the baselines and our towers of histories on the clicks of the days from `fromMs` on. */
export async function retrievalReport(request: RetrievalQuestion): Promise<RetrievalReport> {
  const { interactions, wanted } = await readInteractions(request);
  const { fromMs, seed, rounds } = request;
  const recall: Record<string, Record<string, Interval>> = {};
  const seconds: Record<string, number> = {};
  for (const [name, make] of Object.entries(RECOMMENDERS)) {
    const startedAt = performance.now();
    const recommender = await make(interactions, fromMs, seed);
    recall[name] = retrievalRecall(recommender, wanted, { nowMs: fromMs, ks: KS, seed, rounds });
    seconds[name] = (performance.now() - startedAt) / 1000;
  }
  return {
    users: wanted.length,
    relevant: wanted.reduce((sum, { relevant }) => sum + relevant.size, 0),
    posts: interactions.postIds.length,
    recall,
    seconds,
  };
}

/** Reads a data set up to `toMs`: interactions before `fromMs`, and what viewers clicked from there on. */
export async function readInteractions({
  data,
  fromMs,
  toMs,
}: Pick<RetrievalQuestion, "data" | "fromMs" | "toMs">): Promise<{
  readonly interactions: Interactions;
  readonly wanted: readonly Wanted[];
}> {
  const counter = new InteractionCounter(ACTION_WEIGHTS);
  const clicked = new Map<string, Set<string>>();
  for await (const batch of readDataset(data, { heldOut: true, toMs }))
    for (const event of batch) {
      if (event.time_ms < fromMs) counter.add(event);
      else if (event.type === "engagement" && event.head === "click" && !event.undo) {
        let own = clicked.get(event.user_id);
        if (own === undefined) {
          own = new Set();
          clicked.set(event.user_id, own);
        }
        own.add(event.post_id);
      }
    }
  const interactions = counter.finish();
  const nobody: ReadonlySet<string> = new Set();
  const wanted = [...clicked].flatMap(([userId, posts]) => {
    const seen = interactions.seen.get(userId) ?? nobody;
    const relevant = new Set([...posts].filter((post) => !seen.has(post)));
    return relevant.size === 0 ? [] : [{ userId, relevant, seen }];
  });
  return { interactions, wanted };
}
