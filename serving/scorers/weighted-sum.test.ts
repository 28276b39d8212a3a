import fc from "fast-check";
import { expect, test } from "vitest";
import { HEADS } from "../../datasets/heads.ts";
import { type PostRow, queryOf, tableOf } from "../pipeline/home.fixture.ts";
import { type HomeQuery, headColumn } from "../pipeline/home-query.ts";
import type { Scored } from "../pipeline/stages.ts";
import { loadPreset } from "../weights/presets.ts";
import { effectiveWeights, type Overrides } from "../weights/weights.ts";
import { offsetScore, weightedSum } from "./weighted-sum.ts";

/** A post by its probabilities per head, 0 where only others have one, and its columns. */
type Predicted = { p: Record<string, number>; post?: Partial<PostRow> };

const presetQuery = async (preset: string, overrides: Overrides = {}, fields = {}) =>
  queryOf({ weights: effectiveWeights(await loadPreset(preset), overrides), ...fields });

const scored = (query: HomeQuery, predicted: readonly Predicted[]): Scored => {
  const heads = [...new Set(predicted.flatMap(({ p }) => Object.keys(p)))];
  return weightedSum("heavy").score(
    query,
    tableOf(
      predicted.map(({ p, post }, i) => ({
        post_id: String(i + 1),
        ...post,
        ...Object.fromEntries(heads.map((head) => [headColumn("heavy", head), p[head] ?? 0])),
      })),
    ),
    new AbortController().signal,
  ) as Scored;
};
const scoresOf = (query: HomeQuery, predicted: readonly Predicted[]): number[] => [
  ...(scored(query, predicted).score as Float64Array),
];

const WORKED = { favorite: 0.1, reply: 0.01, repost: 0.02, dwell_seconds: 8 };

test("2026, worked figure: favorite .10, reply .01, repost .02, dwell 8 s give .152, offset .153", async () => {
  const [score] = scoresOf(await presetQuery("x-2026"), [{ p: WORKED }]);
  expect(score).toBeCloseTo(0.153, 12);
});

test("2026, worked figure: a report of .001 makes it −.082, offset .000894283", async () => {
  const [score] = scoresOf(await presetQuery("x-2026"), [{ p: { ...WORKED, report: 0.001 } }]);
  // The printed figure is rounded in its last digits: the formula beside it gives .0008942807.
  expect(score).toBeCloseTo(0.000894283, 8);
  expect(score).toBeCloseTo(((-0.082 + 367.22) / 410.54) * 0.001, 12);
});

test("2026, worked figures: no expectation gives .001, the worst possible post 0", async () => {
  const worst = { not_dwelled: 1, not_interested: 1, block_author: 1, mute_author: 1, report: 1 };
  const [none, least] = scoresOf(await presetQuery("x-2026"), [
    {
      p: {
        favorite: 0,
        not_dwelled: 0,
        not_interested: 0,
        block_author: 0,
        mute_author: 0,
        report: 0,
      },
    },
    { p: { favorite: 0, ...worst } },
  ]);
  expect(none).toBeCloseTo(0.001, 12);
  expect(least).toBeCloseTo(0, 12);
});

test("2026, worked figure: a mutual follow's original has reply weight 20, c .302", async () => {
  const query = await presetQuery("x-2026");
  const mutual = (post: Partial<PostRow>) => ({ p: WORKED, post: { mutual_follow: 1, ...post } });
  const scores = scoresOf(query, [
    mutual({}),
    mutual({ in_reply_to_post_id: "9" }),
    mutual({ repost_of_post_id: "9" }),
    { p: WORKED, post: { mutual_follow: 0 } },
    { p: WORKED },
  ]);
  expect(scores[0]).toBeCloseTo(0.303, 12);
  for (const other of scores.slice(1)) expect(other).toBeCloseTo(0.153, 12);
});

test("2026: net-negative posts reach at most N/T of epsilon, .000894, under all others", async () => {
  const { negativeSum, total } = (await presetQuery("x-2026")).weights;
  expect((negativeSum / total) * 0.001).toBeCloseTo(0.000894, 6);
});

test("2026: video_view counts above 10,000 ms strictly and below 10,000 followers strictly", async () => {
  const video = (video_ms: number): Predicted => ({ p: { video_view: 1 }, post: { video_ms } });
  const posts = [video(10_000), video(10_001), { p: { video_view: 1 } }];
  const query = await presetQuery("x-2026");
  expect(scoresOf(query, posts)).toEqual([0.001, expect.closeTo(0.051, 12), 0.001]);
  const popular = { ...query, viewerFollowerCount: 10_000 };
  expect(scoresOf(popular, posts)).toEqual([0.001, 0.001, 0.001]);
  expect(scoresOf({ ...popular, viewerFollowerCount: 9_999 }, posts)[1]).toBeCloseTo(0.051, 12);
});

test("2023: Σ p·w with the published weights, by hand", async () => {
  const p = {
    favorite: 0.1, // .05
    repost: 0.02, // .02
    reply: 0.01, // .135
    good_profile_click: 0.005, // .06
    video_playback_50: 0.2, // .001
    reply_engaged_by_author: 0.002, // .15
    good_click: 0.01, // .11
    good_click_v2: 0.02, // .2
    negative_feedback: 0.001, // −.074
  };
  const query = await presetQuery("x-2023");
  const [positive, negative] = scoresOf(query, [
    { p: { ...p, report: 0.0001 } }, // −.0369
    { p: { ...p, report: 0.002 } }, // −.738
  ]);
  expect(positive).toBeCloseTo(0.6151 + 0.001, 12);
  expect(negative).toBeCloseTo(((-0.086 + 443) / 566.005) * 0.001, 12);
});

test("2023: a head that the model lacks adds nothing but still counts in N and P", async () => {
  const [score] = scoresOf(await presetQuery("x-2023"), [{ p: { favorite: 0, report: 0.001 } }]);
  expect(score).toBeCloseTo(((-0.369 + 443) / 566.005) * 0.001, 12);
});

test("the world's weights give the plain sum, negative values included", async () => {
  const scores = scoresOf(await presetQuery("world"), [
    { p: WORKED, post: { mutual_follow: 1 } },
    { p: { ...WORKED, report: 0.001 } },
    { p: { video_view: 1 }, post: { video_ms: 500 } },
  ]);
  expect(scores[0]).toBeCloseTo(0.152, 12);
  expect(scores[1]).toBeCloseTo(-0.082, 12);
  expect(scores[2]).toBeCloseTo(0.05, 12);
});

test("the contributions of a row sum to the value that its base score is the offset of", async () => {
  const query = await presetQuery("x-2026");
  const { score, columns = {} } = scored(query, [
    { p: { ...WORKED, mute_author: 0.0001 }, post: { mutual_follow: 1 } },
  ]);
  const contributions = Object.entries(columns).filter(([name]) =>
    name.startsWith("contribution_"),
  );
  expect(contributions.map(([name]) => name)).toEqual([
    "contribution_favorite",
    "contribution_reply",
    "contribution_repost",
    "contribution_dwell_seconds",
    "contribution_mute_author",
  ]);
  const value = contributions.reduce((sum, [, column]) => sum + (column[0] as number), 0);
  expect(offsetScore(value, query.weights)).toBeCloseTo(score?.[0] as number, 15);
  expect(columns.base_score).toEqual(score);
});

test("the light stage writes a score only, from its own head columns", async () => {
  const query = await presetQuery("x-2026");
  const table = tableOf([{ post_id: "1", [headColumn("light", "favorite")]: 0.5 }]);
  const signal = new AbortController().signal;
  expect(weightedSum("light").score(query, table, signal)).toEqual({
    score: Float64Array.of(0.251),
  });
  expect(() => weightedSum("heavy").score(query, table, signal)).toThrow(
    "no head of the heavy model",
  );
});

test("a NaN probability makes the score NaN, so that the row is not taken for a good one", async () => {
  const [score] = scoresOf(await presetQuery("x-2026"), [
    { p: { favorite: Number.NaN, reply: 1 } },
  ]);
  expect(score).toBeNaN();
});

test("without any weight every score is 0 or the plain sum of nothing", async () => {
  const none = { params: queryOf().weights.params, negativeSum: 0, total: 0 };
  expect([offsetScore(0, none), offsetScore(-3, none), offsetScore(2, none)]).toEqual([0, 0, 2]);
});

const value = fc.double({ min: -367.22, max: 50, noNaN: true });

test("the offset is monotone, never negative, and keeps net-negative values under all others", async () => {
  const { weights } = await presetQuery("x-2026");
  fc.assert(
    fc.property(value, value, (a, b) => {
      const [low, high] = a < b ? [a, b] : [b, a];
      expect(offsetScore(low, weights)).toBeGreaterThanOrEqual(-1e-15);
      expect(offsetScore(low, weights)).toBeLessThanOrEqual(offsetScore(high, weights));
      if (low < 0 && high >= 0) expect(offsetScore(low, weights)).toBeLessThan(0.0009);
    }),
  );
});

test("for any probabilities the score equals the formula written out head by head", async () => {
  const query = await presetQuery("x-2026");
  const probabilities = fc.record(
    Object.fromEntries(
      HEADS.map((head) => [head.name, fc.double({ min: 0, max: 1, noNaN: true })]),
    ),
  );
  fc.assert(
    fc.property(probabilities, (p) => {
      let c = 0;
      for (const { head, weight } of query.weights.heads)
        if (head.name !== "video_view") c += (p[head.name] as number) * weight;
      const expected = c < 0 ? ((c + 367.22) / 410.54) * 0.001 : c + 0.001;
      // Around 0 the order of summation decides the side on which c falls.
      fc.pre(Math.abs(c) > 1e-9);
      expect(scoresOf(query, [{ p }])[0]).toBeCloseTo(expected, 10);
    }),
  );
});
