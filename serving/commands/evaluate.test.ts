import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { readManifest } from "../../datasets/dataset.ts";
import type { Interval } from "../../experiments/metrics/bootstrap.ts";
import { championDir } from "../../features/models/champion.ts";
import { FEATURE_NAMES } from "../../features/registry.ts";
import type { FunnelReport } from "../evaluation/funnel.ts";
import { freshSpace, roost } from "../space.fixture.ts";
import type { Evaluation } from "./evaluate.ts";
import type { DriftReport } from "./evaluate-drift.ts";

/** Heads with fewer positives say nothing about who is better than chance. */
const ENOUGH_POSITIVES = 20;
const ARMS = [
  "chronological",
  "popularity",
  "click_only",
  "light",
  "full",
  "as_served",
  "visible",
  "oracle",
];

let space: string;
beforeAll(async () => {
  space = await freshSpace();
});

const evaluate = (...args: string[]) => roost(["evaluate", "--data", space, ...args]);

const ordered = ({ value, low, high }: Interval): void => {
  expect(low).toBeLessThanOrEqual(value);
  expect(value).toBeLessThanOrEqual(high);
};

describe("roost evaluate --json on a simulated network", () => {
  let report: Evaluation;
  let funnel: FunnelReport;
  beforeAll(async () => {
    const ended = await evaluate(
      ...["--json", "--requests", "40", "--rounds", "30", "--plots", join(space, "plots.html")],
    );
    expect(ended.code, ended.stderr).toBe(0);
    report = JSON.parse(ended.stdout) as Evaluation;
    funnel = report.funnel as FunnelReport;
  });

  test("says what was judged: data, range, rows, users and the models' versions", () => {
    const manifest = readManifest(space);
    expect(Date.parse(report.from)).toBe(manifest.held_out_from_ms);
    expect(Date.parse(report.to)).toBe(manifest.to_ms + 1);
    expect(report.rows).toBeGreaterThan(1000);
    expect(report.users).toBeGreaterThan(100);
    expect(report.users).toBeLessThan(report.rows);
    expect(Object.keys(report.models).sort()).toEqual(["heavy", "light"]);
    for (const version of Object.values(report.models)) expect(version).toMatch(/^[0-9a-f]{16}$/);
    expect(report.seconds).toBeGreaterThan(0);
  });

  test("gain shares stand between the chronological order's 0 and the oracle's 1, none above its ceiling", () => {
    expect(funnel.requests).toBe(40);
    expect(funnel.in_network_per_request).toBeLessThanOrEqual(funnel.candidates_per_request);
    expect(Object.keys(funnel.gain_share)).toEqual(ARMS);
    for (const share of Object.values(funnel.gain_share)) {
      ordered(share);
      expect(share.value).toBeLessThanOrEqual(1.05);
    }
    const share = (arm: string): number => funnel.gain_share[arm]?.value as number;
    expect(share("chronological")).toBe(0);
    expect(share("oracle")).toBe(1);
    expect(share("light")).toBeGreaterThan(0);
    expect(share("full")).toBeLessThanOrEqual(share("visible"));
    expect(share("visible")).toBeLessThan(1);
    ordered(funnel.full_of_visible_ceiling);
    expect(funnel.full_of_visible_ceiling.value).toBeCloseTo(share("full") / share("visible"), 9);
  });

  test("NDCG at 10 and 50 lies in 0–1 for every arm; the oracle's is 1 and no arm is above what is visible", () => {
    expect(Object.keys(funnel.ndcg)).toEqual(ARMS);
    for (const depth of ["ndcg@10", "ndcg@50"]) {
      const at = (arm: string): Interval => funnel.ndcg[arm]?.[depth] as Interval;
      for (const arm of ARMS) {
        ordered(at(arm));
        expect(at(arm).low).toBeGreaterThan(0);
        expect(at(arm).high).toBeLessThanOrEqual(1 + 1e-12);
        expect(at(arm).value).toBeLessThanOrEqual(at("oracle").value);
      }
      expect(at("oracle").value).toBeCloseTo(1, 12);
      expect(at("full").value).toBeLessThan(at("visible").value);
      expect(at("chronological").value).toBeLessThan(at("visible").value);
    }
  });

  test("heads are judged for every scorer: the oracle is no worse than chance or the models where positives allow to tell", () => {
    expect(report.heads.length).toBeGreaterThan(10);
    const frequent = report.heads.filter(({ positives }) => positives >= ENOUGH_POSITIVES);
    expect(frequent.map(({ head }) => head)).toEqual(expect.arrayContaining(["click", "favorite"]));
    for (const { head, metrics, gap_to_oracle, comparisons, rows, positives } of frequent) {
      expect(positives, head).toBeLessThan(rows);
      expect(Object.keys(metrics).sort(), head).toEqual(["heavy", "light", "oracle"]);
      for (const figures of Object.values(metrics))
        for (const interval of Object.values(figures)) ordered(interval);
      const auc = (scorer: string): number => metrics[scorer]?.auc?.value as number;
      expect(auc("oracle"), head).toBeGreaterThan(0.5);
      expect(auc("oracle"), head).toBeGreaterThan(auc("light"));
      expect(gap_to_oracle, head).toBeCloseTo(auc("oracle") - auc("heavy"), 9);
      expect(Object.keys(comparisons).sort(), head).toEqual(["light", "oracle"]);
    }
    const click = report.heads.find(({ head }) => head === "click");
    expect(click?.calibration?.bins).toHaveLength(10);
  });

  test("slices divide the judged rows, and their days are those of the whole", () => {
    const by = (name: string) => report.slices.filter((slice) => slice.by === name);
    for (const name of ["history", "network", "day"])
      expect(
        by(name).reduce((sum, { rows }) => sum + rows, 0),
        name,
      ).toBe(report.rows);
    expect(by("media").map(({ slice }) => slice)).toEqual(["none", "photo", "video"]);
    expect(by("language").map(({ slice }) => slice)).toContain("en");
    expect(by("day")).toHaveLength(1);
    const whole = report.heads.find(({ head }) => head === "click");
    const day = by("day")[0]?.heads.click;
    expect(day?.positives).toBe(whole?.positives);
    expect(day?.metrics.auc?.value).toBeCloseTo(whole?.metrics.heavy?.auc?.value as number, 9);
  });

  test("the plots hold the report's own figures", async () => {
    const page = await readFile(join(space, "plots.html"), "utf8");
    const numbers = (name: string): number[] =>
      [...page.matchAll(new RegExp(` data-${name}="([^"]+)"`, "g"))].map((m) => Number(m[1]));
    const plotted = report.heads.filter(
      ({ calibration, positives }) => calibration !== null && positives > 0,
    );
    expect(plotted.length).toBeGreaterThan(3);
    expect(numbers("observed")).toEqual(
      plotted.flatMap(({ calibration }) => calibration?.bins.map((bin) => bin.observed)),
    );
    expect(numbers("lift")).toEqual(
      plotted.flatMap(({ lift }) => lift?.map((point) => point.lift)),
    );
  });

  test("every feature of the registry has its share present and the AUC lost without it", () => {
    expect(report.features.map(({ feature }) => feature)).toEqual(FEATURE_NAMES);
    for (const { feature, present, constant, auc_lost } of report.features) {
      expect(present, feature).toBeGreaterThanOrEqual(0);
      expect(present, feature).toBeLessThanOrEqual(1);
      // What never varies is not trained on, so nothing is lost without it.
      if (constant) expect(auc_lost, feature).toBeNull();
      if (auc_lost !== null) expect(Math.abs(auc_lost), feature).toBeLessThan(0.5);
    }
    const used = report.features.filter(({ auc_lost }) => auc_lost !== null);
    expect(used.length).toBeGreaterThan(80);
    expect(Math.max(...used.map(({ auc_lost }) => auc_lost as number))).toBeGreaterThan(0);
  });
});

test("the same figures are printed as tables", async () => {
  const text = await evaluate(
    ...["--requests", "5", "--rounds", "5", "--no-features", "--until", "2026-01-07T06:00Z"],
  );
  expect(text.code, text.stderr).toBe(0);
  expect(text.stdout).toMatch(/^AUC with 95 % intervals over resampled users\nhead +positives/m);
  expect(text.stdout).toMatch(/^ranker +gain share +ndcg@10 +ndcg@50$/m);
  for (const arm of ARMS) expect(text.stdout).toMatch(new RegExp(`^${arm} +\\S+ \\(`, "m"));
});

test("drift since the held-out day is told against the rows that the champion was validated on", async () => {
  const { held_out_from_ms } = readManifest(space);
  const ended = await evaluate(
    ...["--drift", "--since", String(held_out_from_ms), "--rounds", "20", "--json"],
  );
  expect(ended.code, ended.stderr).toBe(0);
  const report = JSON.parse(ended.stdout) as DriftReport;
  expect(report.model.kind).toBe("heavy");
  expect(Date.parse(report.reference.to)).toBeLessThan(held_out_from_ms as number);
  expect(Date.parse(report.since.from)).toBeGreaterThanOrEqual(held_out_from_ms as number);
  const indices = report.features.map(({ psi }) => psi);
  expect(indices.length).toBeGreaterThan(80);
  expect(Math.min(...indices)).toBeGreaterThanOrEqual(0);
  expect([...indices].sort((a, b) => b - a)).toEqual(indices);
  const click = report.heads.find(({ head }) => head === "click");
  ordered(click?.overall.ratio as Interval);
  expect(click?.days).toHaveLength(1);
  expect(report.retrain).toBe(report.triggers.length > 0);

  const text = await evaluate("--drift", "--since", String(held_out_from_ms), "--rounds", "5");
  expect(text.stdout).toMatch(/retraining is recommended|no retraining is recommended/);
  const early = await evaluate("--drift", "--since", "2026-01-05");
  expect(early.code).toBe(1);
  expect(early.stderr).toMatch(/--since must lie after what heavy \w{16} was validated on/);
  expect((await evaluate("--drift")).stderr).toMatch(/--drift and --since belong together/);
});

test("a damaged bundle is refused by name, not passed over", async () => {
  const models = join(space, "half");
  await cp(join(space, "models"), models, { recursive: true });
  await writeFile(join(await championDir(join(models, "heavy")), "model.onnx"), "cut");
  const ended = await evaluate("--models", models, "--json");
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(/heavy\/\S+\/model\.onnx does not match its checksum/);
});

test("a directory without models is refused in one line that says how to make them", async () => {
  const models = join(space, "no-models");
  await mkdir(models);
  const ended = await evaluate("--models", models, "--json");
  expect(ended.code).toBe(1);
  expect(ended.stdout).toBe("");
  expect(ended.stderr.trim().split("\n")).toHaveLength(1);
  expect(ended.stderr).toContain(`${models} holds none of heavy, light`);
  expect(ended.stderr).toMatch(/roost train/);
});
