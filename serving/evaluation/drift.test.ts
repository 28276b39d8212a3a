import { expect, test } from "vitest";
import {
  populationStability,
  referenceBins,
} from "../../experiments/metrics/population-stability.ts";
import { type DriftFindings, driftFindings } from "./drift.ts";
import { believedPredictions, type JudgedRowsOptions, judgedRows } from "./judged-rows.fixture.ts";

const DAY = 86_400_000;
const MANIFEST = { features: ["x", "noise"], masked_heads: ["favorite"] };

function findings(
  since: Partial<JudgedRowsOptions>,
  reference: Partial<JudgedRowsOptions> = {},
): DriftFindings {
  const before = judgedRows({ n: 4000, seed: 1, ...reference });
  const now = judgedRows({ n: 4000, seed: 2, fromMs: DAY, toMs: 3 * DAY, ...since });
  return driftFindings(
    { ...MANIFEST, features: [...before.featureNames] },
    { rows: before, predictions: believedPredictions(before) },
    { rows: now, predictions: believedPredictions(now) },
    { sinceMs: DAY, seed: 1, rounds: 100 },
  );
}

test("rows of the same world pass no threshold", () => {
  const { features, heads, triggers, retrain } = findings({});
  expect(features.map(({ change }) => change)).toEqual(["stable", "stable"]);
  expect(heads.map(({ head }) => head)).toEqual(["click"]);
  expect(heads[0]?.days.map((day) => day.from_ms)).toEqual([DAY, 2 * DAY]);
  const days = heads[0]?.days ?? [];
  expect(days.reduce((sum, day) => sum + day.rows, 0)).toBe(4000);
  expect(days.reduce((sum, day) => sum + day.positives, 0)).toBe(heads[0]?.overall.positives);
  expect(triggers).toEqual([]);
  expect(retrain).toBe(false);
});

test("a feature that moved is named first, and its scores with it", () => {
  const { features, heads, triggers, retrain } = findings({ shift: 1 });
  expect(features[0]).toMatchObject({ feature: "x", change: "large" });
  expect(features[1]).toMatchObject({ feature: "noise", change: "stable" });
  // Two unit normals one apart have the divergence 1 in closed form; ten bins keep most of it.
  expect(features[0]?.psi).toBeGreaterThan(0.8);
  expect(features[0]?.psi).toBeLessThan(1.1);
  // The score rises with x alone, so its deciles are those of x.
  expect(heads[0]?.score_psi).toBeCloseTo(features[0]?.psi as number, 2);
  const [before, now] = heads[0]?.mean_score ?? [1, 0];
  expect(now).toBeGreaterThan(before + 0.1);
  expect(triggers.map(({ what }) => what)).toEqual(["features", "scores"]);
  expect(triggers[0]?.reason).toBe("1 of 2 features have a PSI above 0.25, most x");
  expect(retrain).toBe(true);
});

test("outcomes that come more often than predicted are a calibration trigger, with the ratio's interval outside", () => {
  const { heads, triggers } = findings({ rate: 1.5 });
  const { value, low, high } = heads[0]?.overall.ratio ?? { value: 0, low: 0, high: 0 };
  expect(low).toBeGreaterThan(1.1);
  expect(low).toBeLessThan(1.5);
  expect(high).toBeGreaterThan(1.4);
  expect(triggers).toEqual([
    expect.objectContaining({ what: "calibration", head: "click", value, threshold: 1.1 }),
  ]);
  expect(findings({ rate: 0.6 }).triggers).toEqual([
    expect.objectContaining({ what: "calibration", head: "click", threshold: 0.9 }),
  ]);
});

test("the time of day moves by itself and recommends nothing", () => {
  const names = { featureNames: ["context.hour_cos", "noise"] };
  const { features, triggers } = findings({ shift: 1, ...names }, names);
  expect(features[0]).toMatchObject({ feature: "context.hour_cos", change: "large" });
  expect(triggers.filter(({ what }) => what === "features")).toEqual([]);
});

test("the figures are those of the metric on the same columns", () => {
  const before = judgedRows({ n: 300, seed: 1 });
  const now = judgedRows({ n: 200, seed: 2, fromMs: DAY, shift: 0.3 });
  const report = driftFindings(
    MANIFEST,
    { rows: before, predictions: believedPredictions(before) },
    { rows: now, predictions: believedPredictions(now) },
    { sinceMs: DAY, seed: 1, rounds: 5 },
  );
  const x = (rows: typeof now) => rows.features.filter((_, at) => at % 2 === 0);
  expect(report.features.find(({ feature }) => feature === "x")?.psi).toBe(
    populationStability(referenceBins(x(before)), x(now)),
  );
});
