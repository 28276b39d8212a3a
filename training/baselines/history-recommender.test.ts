import { expect, test } from "vitest";
import { historyRecommender, towersRecommender, trendOf } from "./history-recommender.ts";
import { click, interactionsOf, NOW_MS, twoTastes } from "./interactions.fixture.ts";

const OPTIONS = {
  dimension: 4,
  batchSize: 32,
  steps: 60,
  seenShare: 0.5,
  learningRate: 0.03,
  seed: 1,
  threads: 1,
  nowMs: NOW_MS,
  recentDays: 1,
  usualDays: 30,
  trend: 0,
};

test("viewers get posts of their taste that they have not seen, by towers that know only their histories", async () => {
  const { events, half } = twoTastes(3);
  const interactions = interactionsOf(events);
  const towers = await historyRecommender(interactions, OPTIONS);
  let own = 0;
  for (const userId of interactions.userIds) {
    const seen = interactions.seen.get(userId) as ReadonlySet<string>;
    const found = towers.recommend(userId, NOW_MS, 5, seen);
    expect(found.filter((post) => seen.has(post))).toEqual([]);
    own += found.filter((post) => half(post) === (Number(userId) - 1) % 2).length;
  }
  expect(own / (5 * interactions.userIds.length)).toBeGreaterThan(0.85);
});

test("scores are the pooled history times the post's vector plus bias and trend, and strangers get bias and trend", () => {
  const interactions = interactionsOf([click("1", "11"), click("1", "12"), click("2", "13")]);
  const towers = {
    dimension: 2,
    history: Float32Array.of(1, 0, 0, 1, 5, 5),
    posts: Float32Array.of(1, 0, 0, 2, 3, 1),
    bias: Float32Array.of(0.5, 0, -3),
  };
  const trend = Float64Array.of(0, 0.1, 0);
  const { recommend } = towersRecommender(towers, interactions, trend);
  // (1, 1)/√2 with 11: .71 + .5; with 12: 1.41 + .1; with 13: 2.83 − 3.
  expect(recommend("1", NOW_MS, 3, new Set())).toEqual(["12", "11", "13"]);
  expect(recommend("99", NOW_MS, 3, new Set())).toEqual(["11", "12", "13"]);
  expect(recommend("1", NOW_MS, 3, new Set(["12"]))).toEqual(["11", "13"]);
});

test("a trend is the logarithm of late over usual welcome, held back by priors", () => {
  const interactions = interactionsOf([click("1", "21", 0), click("2", "22", 24 * 30)]);
  const trend = trendOf(interactions, { ...OPTIONS, trend: 2 });
  const of = (post: string): number => trend[interactions.postIndex.get(post) as number] as number;
  expect(of("21")).toBeCloseTo(2 * Math.log(1.5 / 21), 10);
  expect(of("22")).toBeCloseTo(2 * Math.log((0.5 + 2 ** -30) / 20.5), 10);
});

test("the same seed gives the same recommendations", async () => {
  const interactions = interactionsOf(twoTastes(5).events);
  const [a, b] = [
    await historyRecommender(interactions, { ...OPTIONS, steps: 5 }),
    await historyRecommender(interactions, { ...OPTIONS, steps: 5 }),
  ];
  for (const user of ["1", "2", "unknown"])
    expect(a.recommend(user, NOW_MS, 20, new Set())).toEqual(
      b.recommend(user, NOW_MS, 20, new Set()),
    );
});

test("too few viewers with two acts, and a step so long that training diverges, end it with their reason", async () => {
  const few = interactionsOf([click("1", "11"), click("1", "12"), click("2", "11")]);
  await expect(historyRecommender(few, OPTIONS)).rejects.toMatchObject({ code: "BAD_DATASET" });
  const many = interactionsOf(twoTastes(5).events);
  await expect(historyRecommender(many, { ...OPTIONS, learningRate: 1e30 })).rejects.toMatchObject({
    code: "BAD_ARGUMENT",
  });
});
