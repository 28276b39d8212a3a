import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import type { ServedModel } from "../inference/inference.ts";
import { definePipeline } from "../pipeline/define-pipeline.ts";
import { queryOf } from "../pipeline/home.fixture.ts";
import { type HomeQuery, headColumn, homeSizes } from "../pipeline/home-query.ts";
import { runPipeline } from "../pipeline/run-pipeline.ts";
import type { Scorer } from "../pipeline/stages.ts";
import { topRows } from "../pipeline/top-rows.ts";
import { loadPreset, PRESETS } from "../weights/presets.ts";
import { effectiveWeights } from "../weights/weights.ts";
import { authorDiversity } from "./author-diversity.ts";
import { explainRow } from "./explain-row.ts";
import { outOfNetworkFactor } from "./out-of-network-factor.ts";
import { replyFactor } from "./reply-factor.ts";
import { offsetScore, weightedSum } from "./weighted-sum.ts";

const PREDICTED = ["favorite", "reply", "click", "video_view", "dwell_seconds", "report"];

/** Seeded probabilities in place of a model. */
const predicting: Scorer<HomeQuery> = {
  name: "predicting",
  timeoutMs: 0,
  onFailure: "open",
  score: (_query, { n }) => {
    const draw = random(7, "explain");
    const p = (head: string) => (head === "report" ? 0.002 : 0.4) * draw.next();
    return {
      columns: Object.fromEntries(
        PREDICTED.map((head) => [
          headColumn("heavy", head),
          Float64Array.from({ length: n }, () => p(head)),
        ]),
      ),
    };
  },
};

const ranked = async (preset: string, heavy: readonly Scorer<HomeQuery>[]) => {
  const n = 60;
  const postIds = Array.from({ length: n }, (_, i) => String(100 + i));
  const every = (k: number) => Float32Array.from({ length: n }, (_, i) => (i % k === 0 ? 1 : 0));
  const weights = effectiveWeights(await loadPreset(preset));
  const query = queryOf({ weights, limit: n, models: { heavy: {} as ServedModel } });
  const pipeline = definePipeline<HomeQuery>({
    name: "test",
    sizes: homeSizes,
    queryHydrators: [],
    sources: [
      {
        name: "main",
        timeoutMs: 0,
        onFailure: "required",
        fetch: () => ({
          postIds,
          authorIds: postIds.map((_, i) => String(i % 9)),
          columns: {
            in_network: every(2),
            mutual_follow: every(3),
            video_ms: Float64Array.from({ length: n }, (_, i) => i * 500),
            in_reply_to_post_id: postIds.map((_, i) => (i % 4 === 0 ? "5" : "")),
          },
        }),
      },
    ],
    mergeFilters: [],
    hydrators: [],
    filters: [],
    lightHydrators: [],
    lightScorers: [
      {
        name: "by_id",
        timeoutMs: 0,
        onFailure: "required",
        score: () => ({ score: Float64Array.from(postIds, Number) }),
      },
    ],
    heavyHydrators: [],
    heavyScorers: heavy,
    adjustingScorers: [authorDiversity(), outOfNetworkFactor(), replyFactor()],
    selector: {
      name: "by_score",
      timeoutMs: 0,
      onFailure: "required",
      select: (_query, table) => topRows(table.score, table.postIds, table.n),
    },
    selectedHydrators: [],
    selectedFilters: [],
    sideEffects: [],
  });
  const answer = await runPipeline(pipeline, query, {
    signal: new AbortController().signal,
    now: () => performance.now(),
  });
  return { ...answer, weights };
};

test("base × every multiplier is the score and the contributions sum to its value, for every preset and row", async () => {
  for (const preset of PRESETS) {
    const { table, page, weights } = await ranked(preset, [predicting, weightedSum("heavy")]);
    expect(page).toHaveLength(60);
    let lowered = 0;
    for (const row of page) {
      const { heads, base, multipliers } = explainRow(table, row, weights);
      const product = multipliers.reduce((all, { value }) => all * value, base);
      const score = table.score[row] as number;
      expect(Math.abs(product - score)).toBeLessThanOrEqual(1e-9 * Math.abs(score));
      if (score !== base) lowered++;

      const value = heads.reduce((sum, { contribution }) => sum + contribution, 0);
      expect(Math.abs(offsetScore(value, weights) - base)).toBeLessThanOrEqual(1e-9);
      for (const { probability, weight, contribution } of heads)
        expect((probability ?? 0) * weight).toBeCloseTo(contribution, 12);
    }
    expect(lowered).toBeGreaterThan(10);
  }
});

test("heads that the model lacks are listed with their weight and no probability", async () => {
  const { table, page, weights } = await ranked("x-2026", [predicting, weightedSum("heavy")]);
  const { heads } = explainRow(table, page[0] as number, weights);
  expect(heads.find(({ head }) => head === "share")).toEqual({
    head: "share",
    probability: null,
    weight: 2,
    contribution: 0,
  });
  expect(heads.filter(({ probability }) => probability !== null)).toHaveLength(PREDICTED.length);
});

test("when the heavy ranker did not run, base and multipliers still make the score", async () => {
  const { table, page, weights } = await ranked("x-2026", []);
  for (const row of page) {
    const { base, multipliers } = explainRow(table, row, weights);
    const product = multipliers.reduce((all, { value }) => all * value, base);
    expect(product).toBeCloseTo(table.score[row] as number, 9);
    expect(base).toBeCloseTo(Number(table.postIds[row]), 9);
  }
});
