import { expect, test } from "vitest";
import { headReports } from "./head-report.ts";
import { believedPredictions, judgedRows } from "./judged-rows.fixture.ts";
import { plotsPage } from "./plots.ts";

const rows = judgedRows({ n: 2000, seed: 3 });
const heads = headReports(rows, new Map([["heavy", believedPredictions(rows)]]), {
  seed: 1,
  rounds: 5,
  main: "heavy",
  trainingPositives: {},
});
const about = { data: 'world {"preset":"<tiny>"}', from: "a", to: "b", models: { heavy: "0123" } };
const page = plotsPage({ ...about, heads });

/** Every value of an attribute, in order. */
const values = (name: string): number[] =>
  [...page.matchAll(new RegExp(` data-${name}="([^"]+)"`, "g"))].map((m) => Number(m[1]));

test("the points are the bins of the report, to the last digit", () => {
  const click = heads.find(({ head }) => head === "click");
  const bins = click?.calibration?.bins ?? [];
  expect(bins).toHaveLength(10);
  expect(values("n")).toEqual(bins.map((bin) => bin.n));
  expect(values("predicted")).toEqual(bins.map((bin) => bin.predicted));
  expect(values("observed")).toEqual(bins.map((bin) => bin.observed));
  expect(values("low")).toEqual(bins.map((bin) => bin.observedLow));
  expect(values("lift")).toEqual(click?.lift?.map((point) => point.lift));
  expect(values("positives")).toEqual(click?.lift?.map((point) => point.positives));
});

test("a point stands where its figures say: equal figures on the diagonal, larger ones further up", () => {
  const calibrationPlot = page.slice(
    page.indexOf('class="calibration"'),
    page.indexOf('class="lift"'),
  );
  const at = [...calibrationPlot.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map((m) => [
    Number(m[1]),
    Number(m[2]),
  ]);
  const diagonal =
    /<line class="even" x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)"/.exec(
      calibrationPlot,
    );
  const [x1, y1, x2, y2] = (diagonal ?? []).slice(1).map(Number) as [
    number,
    number,
    number,
    number,
  ];
  // Undo the axes from the diagonal's ends: both axes run from 0 to the same top.
  const [predicted, observed] = [values("predicted"), values("observed")];
  const last = at.length - 1;
  const top = ((predicted[last] as number) * (x2 - x1)) / ((at[last]?.[0] as number) - x1);
  at.forEach(([x, y], i) => {
    expect((((x as number) - x1) / (x2 - x1)) * top).toBeCloseTo(predicted[i] as number, 3);
    expect(((y1 - (y as number)) / (y1 - y2)) * top).toBeCloseTo(observed[i] as number, 3);
  });
});

test("a head without positives has no section, text is escaped, and nothing comes from elsewhere", () => {
  expect([...page.matchAll(/data-head="(\w+)"/g)].map((m) => m[1])).toEqual(["click"]);
  expect(page).toContain("&lt;tiny>");
  expect(page).not.toMatch(/<script|href=|src=|url\(/);
});
