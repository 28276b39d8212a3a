import { expect, test } from "vitest";
import { click, interactionsOf, NOW_MS, twoTastes } from "./interactions.fixture.ts";
import type { Interactions } from "./interactions.ts";
import { itemKnn } from "./item-knn.ts";

const OPTIONS = { neighbours: 40, shrinkage: 2, halfLifeDays: 3, nowMs: NOW_MS };

/** Scores straight from the definition, with dense matrices. */
function bruteForce(x: Interactions, userId: string): Map<string, number> {
  const dense = x.userIds.map((_, u) => {
    const row = new Array<number>(x.postIds.length).fill(0);
    for (let e = x.starts[u] as number; e < (x.starts[u + 1] as number); e++)
      row[x.posts[e] as number] = x.weights[e] as number;
    return row;
  });
  const dot = (i: number, j: number) =>
    dense.reduce((sum, row) => sum + (row[i] as number) * (row[j] as number), 0);
  const u = x.userIndex.get(userId) as number;
  const scores = new Map<string, number>();
  for (let j = 0; j < x.postIds.length; j++) {
    let score = 0;
    for (let e = x.starts[u] as number; e < (x.starts[u + 1] as number); e++) {
      const i = x.posts[e] as number;
      if (i === j) continue;
      const similarity = dot(i, j) / (Math.sqrt(dot(i, i) * dot(j, j)) + OPTIONS.shrinkage);
      const days = (NOW_MS - (x.timeMs[e] as number)) / 86_400_000;
      score += (x.weights[e] as number) * 2 ** (-days / OPTIONS.halfLifeDays) * similarity;
    }
    scores.set(x.postIds[j] as string, score);
  }
  return scores;
}

test("with every neighbour kept the order is that of the definition", () => {
  const x = interactionsOf(twoTastes(5).events);
  const recommender = itemKnn(x, OPTIONS);
  for (const user of ["1", "2", "17"]) {
    const scores = bruteForce(x, user);
    const seen = x.seen.get(user) as ReadonlySet<string>;
    const found = recommender.recommend(user, NOW_MS, 15, seen);
    const expected = [...scores]
      .filter(([post, score]) => score > 0 && !seen.has(post))
      .sort((a, b) => b[1] - a[1])
      .slice(0, 15);
    expect(found).toHaveLength(15);
    // Float32 similarities may swap near ties: the scores along both lists agree.
    found.forEach((post, n) => {
      expect(scores.get(post)).toBeCloseTo((expected[n] as [string, number])[1], 5);
    });
  }
});

test("a viewer is given posts of the viewer's own taste, and never a seen one", () => {
  const { events, half } = twoTastes(8);
  const x = interactionsOf(events);
  const recommender = itemKnn(x, OPTIONS);
  let own = 0;
  for (const user of x.userIds) {
    const seen = x.seen.get(user) as ReadonlySet<string>;
    const found = recommender.recommend(user, NOW_MS, 5, seen);
    for (const post of found) expect(seen.has(post)).toBe(false);
    own += found.filter((post) => half(post) === (Number(user) - 1) % 2).length / found.length;
  }
  expect(own / x.userIds.length).toBeGreaterThan(0.8);
});

test("an unknown viewer is given what is liked most, and few neighbours are filled up with it", () => {
  const x = interactionsOf([
    click("1", "10"),
    click("2", "10"),
    click("2", "11"),
    click("3", "12"),
    click("3", "13"),
    click("4", "13"),
    click("5", "13"),
  ]);
  const recommender = itemKnn(x, OPTIONS);
  expect(recommender.recommend("9", NOW_MS, 2, new Set())).toEqual(["13", "10"]);
  expect(recommender.recommend("1", NOW_MS, 3, new Set(["10"]))).toEqual(["11", "13", "12"]);
});
