import fc from "fast-check";
import { expect, test } from "vitest";
import type { Params } from "../params.ts";
import { type PostRow, queryOf, tableOf } from "../pipeline/home.fixture.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Scored, Scorer } from "../pipeline/stages.ts";
import { authorDiversity, diversityMultiplier } from "./author-diversity.ts";
import { newestFirst } from "./newest-first.ts";
import { outOfNetworkFactor } from "./out-of-network-factor.ts";
import { replyFactor } from "./reply-factor.ts";

const multipliers = (
  scorer: Scorer<HomeQuery>,
  posts: readonly PostRow[],
  params: Partial<Params> = {},
): number[] => {
  const { signal } = new AbortController();
  const scored = scorer.score(queryOf({}, params), tableOf(posts), signal) as Scored;
  return [...(scored.multiplier as Float64Array)];
};

test("worked figures: the diversity of k = 0…5 is 1, .625, .4375, .34375, .296875, .2734375", () => {
  expect([0, 1, 2, 3, 4, 5].map((k) => diversityMultiplier(k, 0.5, 0.25))).toEqual([
    1, 0.625, 0.4375, 0.34375, 0.296875, 0.2734375,
  ]);
});

test("an author's posts are lowered in the order of their scores, ties by post id", () => {
  expect(
    multipliers(authorDiversity(), [
      { post_id: "3", author_id: "1", score: 1 },
      { post_id: "4", author_id: "2", score: 5 },
      { post_id: "2", author_id: "1", score: 1 },
      { post_id: "1", author_id: "1", score: 9 },
      { post_id: "5", author_id: "2", score: Number.NaN },
    ]),
  ).toEqual([0.4375, 1, 0.625, 1, 0.625]);
});

test("decay and floor are ranking parameters; a floor of 1 switches diversity off", () => {
  const posts = ["1", "2", "3"].map((post_id) => ({ post_id, score: 1 }));
  expect(
    multipliers(authorDiversity(), posts, { diversity_decay: 0.9, diversity_floor: 0 }),
  ).toEqual([1, 0.9, expect.closeTo(0.81, 12)]);
  expect(multipliers(authorDiversity(), posts, { diversity_floor: 1 })).toEqual([1, 1, 1]);
});

test("diversity does not depend on the order of the rows", () => {
  const posts = fc.uniqueArray(
    fc.record({
      post_id: fc.nat(50).map(String),
      author_id: fc.nat(3).map(String),
      score: fc.constantFrom(0, 1, 2, 3),
    }),
    { selector: (post) => post.post_id, maxLength: 20 },
  );
  fc.assert(
    fc.property(posts, (rows) => {
      const backwards = [...rows].reverse();
      expect(multipliers(authorDiversity(), backwards).reverse()).toEqual(
        multipliers(authorDiversity(), rows),
      );
    }),
  );
});

const ROWS: PostRow[] = [
  { post_id: "1", score: 0.153, in_network: 0 },
  { post_id: "2", score: 0.153, in_network: 1 },
  { post_id: "3", score: 0.153, in_network: 1, in_reply_to_post_id: "9" },
  { post_id: "4", score: 0.153, in_network: 1, repost_of_post_id: "9" },
  { post_id: "5", score: 0.153, in_reply_to_post_id: "9" },
  { post_id: "6", score: -0.1, in_network: 0 },
];

test("worked figure: a stranger's .153 becomes .11475", () => {
  const [factor] = multipliers(outOfNetworkFactor(), ROWS);
  expect(0.153 * (factor as number)).toBeCloseTo(0.11475, 12);
});

test("strangers, and followed authors' replies and reposts, are lowered; unknown and negative rows are not", () => {
  expect(multipliers(outOfNetworkFactor(), ROWS)).toEqual([0.75, 1, 0.75, 0.75, 1, 1]);
  expect(
    multipliers(outOfNetworkFactor(), ROWS, {
      out_of_network_factor: 0.5,
      in_network_reply_repost_factor: 1,
    }),
  ).toEqual([0.5, 1, 1, 1, 1, 1]);
});

test("the reply factor of 2023 lowers replies and is off by default", () => {
  expect(replyFactor().enabled?.(queryOf())).toBe(false);
  expect(replyFactor().enabled?.(queryOf({}, { reply_factor: 0.75 }))).toBe(true);
  expect(multipliers(replyFactor(), ROWS, { reply_factor: 0.75 })).toEqual([
    1, 1, 0.75, 1, 0.75, 1,
  ]);
});

test("no adjusting scorer raises a negative score", () => {
  const negative = ROWS.map((row) => ({ ...row, score: -1 }));
  for (const scorer of [authorDiversity(), outOfNetworkFactor(), replyFactor()])
    expect(multipliers(scorer, negative, { reply_factor: 0.5 })).toEqual([1, 1, 1, 1, 1, 1]);
});

test("newest first scores by the time of creation", () => {
  const table = tableOf([{ post_id: "1", created_at_ms: 5 }, { post_id: "2" }]);
  const { score } = newestFirst().score(queryOf(), table, new AbortController().signal) as Scored;
  expect([...(score as Float64Array)]).toEqual([5, Number.NaN]);
});
