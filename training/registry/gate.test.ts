import { expect, test } from "vitest";
import type { BundleManifest } from "../../features/bundle.ts";
import { DEFAULT_GATE, judge, parseGate } from "./gate.ts";

type Metrics = Record<string, Record<string, number>>;
const VALIDATION = {
  from_ms: 1,
  to_ms: 2,
  rows: 9000,
  positives: { click: 800, favorite: 300, reply: 999, share: 1000 },
  checksum: "same",
};
const bundle = (
  metrics: Metrics,
  validation: BundleManifest["validation"] | null = VALIDATION,
): BundleManifest =>
  ({
    version: "v",
    metrics: Object.fromEntries(
      Object.entries(metrics).map(([head, ofHead]) => [
        head,
        Object.fromEntries(
          Object.entries(ofHead).map(([name, value]) => [name, { value, low: value, high: value }]),
        ),
      ]),
    ),
    ...(validation && { validation }),
  }) as unknown as BundleManifest;
const auc = (click: number, favorite = 0.8, reply = 0.8, share = 0.8): Metrics => ({
  click: { auc: click },
  favorite: { auc: favorite },
  reply: { auc: reply },
  share: { auc: share },
});
const problems = (candidate: Metrics, champion: Metrics, rules = DEFAULT_GATE): readonly string[] =>
  judge(bundle(candidate), bundle(champion), rules).problems;

test("a loss within the tolerance passes, one beyond it is refused by head, metric and amount", () => {
  expect(problems(auc(0.749), auc(0.75))).toEqual([]);
  expect(problems(auc(0.9), auc(0.75))).toEqual([]);
  expect(problems(auc(0.7479), auc(0.75))).toEqual([
    "click auc 0.7479 is worse than the champion's 0.7500 by 0.0021, more than 0.002",
  ]);
});

test("click and favorite count always, other heads from 1,000 positives on", () => {
  const worse = problems(auc(0.7, 0.7, 0.7, 0.7), auc(0.8));
  expect(worse.map((text) => text.split(" ")[0])).toEqual(["click", "favorite", "share"]);
});

test("of normalised entropy less is better", () => {
  const entropy = (value: number): Metrics => ({ click: { normalized_entropy: value } });
  expect(problems(entropy(0.93), entropy(0.92))).toHaveLength(1);
  expect(problems(entropy(0.91), entropy(0.92))).toEqual([]);
});

test("a metric that the champion has must have been measured; one that it lacks asks for nothing", () => {
  expect(problems({ favorite: { auc: 0.9 } }, auc(0.75))).toEqual([
    "click auc was not measured",
    "share auc was not measured",
  ]);
  expect(problems(auc(0.75), { click: { auc: 0.75 } })).toEqual([]);
});

test("what was measured on other rows, or on none, cannot be judged", () => {
  const other = { ...VALIDATION, checksum: "other" };
  expect(judge(bundle(auc(0.9), other), bundle(auc(0.75)), DEFAULT_GATE).problems[0]).toMatch(
    /measured on different validation rows: v on 9000 of 1970/,
  );
  for (const [a, b] of [
    [null, VALIDATION],
    [VALIDATION, null],
  ] as const)
    expect(judge(bundle(auc(0.9), a), bundle(auc(0.75), b), DEFAULT_GATE).problems[0]).toBe(
      "v was not measured on validation rows",
    );
  expect(problems({}, {})).toEqual([expect.stringContaining("none of the gate's metrics")]);
});

test("rules name a metric for every gate head or for one, with a tolerance each", () => {
  expect(parseGate("auc=0.01, reply.auc=.2,share.log_loss=1e-3")).toEqual([
    { metric: "auc", tolerance: 0.01 },
    { head: "reply", metric: "auc", tolerance: 0.2 },
    { head: "share", metric: "log_loss", tolerance: 0.001 },
  ]);
  expect(problems(auc(0.7, 0.7, 0.5), auc(0.8), parseGate("reply.auc=0.2"))).toEqual([
    expect.stringContaining("reply auc"),
  ]);
  expect(problems(auc(0.5), auc(0.8), parseGate("reply.auc=0.2"))).toEqual([]);
});

test.each(["auc", "auc=-1", "auc=x", "speed=1", "=1", "a.b.auc=1", ""])(
  "the rule %s is refused",
  (text) => {
    expect(() => parseGate(text)).toThrow(
      /must be \[HEAD\.\]METRIC=TOLERANCE with a metric of auc/,
    );
  },
);
