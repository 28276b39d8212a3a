import { expect, test } from "vitest";
import { createMetrics } from "./metrics.ts";
import type { RankRecord } from "./rank-record.ts";

const component = (name: string, ms: number, rowsIn: number, rowsOut: number, enabled = true) =>
  ({ stage: "filters", name, rule: name, enabled, ms, rowsIn, rowsOut }) as const;
const record: RankRecord = {
  product: "for_you",
  pipeline: {
    components: [
      component("age", 0.2, 100, 80),
      component("self", 0.1, 80, 79),
      component("off", 0, 0, 0, false),
    ],
    stageMs: {},
    failures: [
      { component: "graph", kind: "late" },
      { component: "graph", kind: "failed" },
    ],
    totalMs: 12,
  },
  items: 20,
  weightsChecksum: "w",
  experiments: [{ key: "e", variation: 1 }],
  modelVersions: {},
};
const figure = (text: string, series: string): number =>
  Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${series} `))
      ?.slice(series.length + 1),
  );

test("numbers add up over requests exactly as their records say", async () => {
  const metrics = createMetrics();
  for (let i = 0; i < 3; i++) metrics.ranked(record);
  const text = await metrics.text();
  const rows = (name: string, direction: string) =>
    figure(
      text,
      `roost_component_rows_total{stage="filters",component="${name}",direction="${direction}"}`,
    );
  expect([rows("age", "in"), rows("age", "out"), rows("self", "in"), rows("self", "out")]).toEqual([
    300, 240, 240, 237,
  ]);
  expect(figure(text, 'roost_component_seconds_sum{stage="filters",component="age"}')).toBeCloseTo(
    0.0006,
    12,
  );
  expect(figure(text, 'roost_component_failures_total{component="graph",kind="late"}')).toBe(3);
  expect(figure(text, 'roost_component_failures_total{component="graph",kind="failed"}')).toBe(3);
  expect(figure(text, 'roost_rank_items_sum{product="for_you"}')).toBe(60);
  expect(figure(text, 'roost_rank_pipeline_seconds_bucket{le="0.01",product="for_you"}')).toBe(0);
  expect(figure(text, 'roost_rank_pipeline_seconds_bucket{le="0.02",product="for_you"}')).toBe(3);
  expect(figure(text, 'roost_experiment_requests_total{experiment="e",variation="1"}')).toBe(3);
  expect(text).not.toContain('component="off"');
});

test("requests in flight go up and down", async () => {
  const metrics = createMetrics();
  metrics.requestStarted();
  metrics.requestStarted();
  metrics.requestEnded("/v1/rank", "POST", 200, 0.004);
  const text = await metrics.text();
  expect(figure(text, "roost_http_requests_in_flight")).toBe(1);
  expect(
    figure(
      text,
      'roost_http_request_seconds_bucket{le="0.005",route="/v1/rank",method="POST",status="200"}',
    ),
  ).toBe(1);
});

test("one version is in force per kind and name", async () => {
  const metrics = createMetrics();
  metrics.versionInForce("weights", "main", "aa");
  metrics.versionInForce("weights", "other", "aa");
  metrics.versionInForce("weights", "main", "bb");
  const lines = (await metrics.text())
    .split("\n")
    .filter((line) => line.startsWith("roost_version_info"));
  expect(lines.sort()).toEqual([
    'roost_version_info{kind="weights",name="main",checksum="bb"} 1',
    'roost_version_info{kind="weights",name="other",checksum="aa"} 1',
  ]);
});

test("two servers in a process count apart, and hostile label values cannot forge a series", async () => {
  const [one, two] = [createMetrics(), createMetrics()];
  one.eventsTaken('x"} 9\nforged_total{a="', "accepted");
  expect((await one.text()).split("\n").some((line) => line.startsWith("forged_total"))).toBe(
    false,
  );
  expect(await two.text()).not.toContain("accepted");
});

test("a ranking that failed counts its components, but no page, no time of an answer and no arm", async () => {
  const metrics = createMetrics();
  metrics.rankFailed(record);
  const text = await metrics.text();
  expect(
    figure(text, 'roost_component_rows_total{stage="filters",component="age",direction="in"}'),
  ).toBe(100);
  expect(figure(text, 'roost_component_failures_total{component="graph",kind="late"}')).toBe(1);
  expect(text).not.toContain('roost_rank_items_count{product="for_you"}');
  expect(text).not.toContain('roost_rank_pipeline_seconds_count{product="for_you"}');
  expect(text).not.toContain('experiment="e"');
});
