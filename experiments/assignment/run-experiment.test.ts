import { describe, expect, test } from "vitest";
import { evaluateFeature } from "./evaluate-feature.ts";
import type { Experiment } from "./growthbook-schema.ts";
import {
  type EvaluationContext,
  isExposure,
  type Reason,
  runExperiment,
} from "./run-experiment.ts";
import { stickySession } from "./sticky-document.ts";

const base: Experiment = { key: "exp", variations: ["a", "b"], hashVersion: 2 };
const unit = { attributes: { id: "7" } };

/** Each step's obstacle, in the order of evaluation: with all from a step on in place, that step must decide. */
const STEPS: [Reason, Partial<Experiment>, Partial<EvaluationContext>][] = [
  ["too_few_variations", { variations: ["a"] }, {}],
  ["disabled", {}, { enabled: false }],
  ["query_string", {}, { url: "http://x/?exp=1" }],
  ["forced", {}, { forcedVariations: { exp: 1 } }],
  ["inactive", { active: false }, {}],
  ["no_hash_attribute", { hashAttribute: "company" }, {}],
  ["filtered", { filters: [{ seed: "s", ranges: [] }] }, {}],
  ["condition", { condition: { country: "JP" } }, {}],
  ["prerequisite", { parentConditions: [{ id: "parent" }] }, {}],
  ["bad_hash_version", { hashVersion: 9 }, {}],
  ["not_in_range", { coverage: 0 }, {}],
  ["experiment_force", { force: 1 }, {}],
  ["qa_mode", {}, { qaMode: true }],
  ["stopped", { status: "stopped" }, {}],
  ["assigned", {}, {}],
];

describe("running an experiment", () => {
  test.each(STEPS.map(([reason], step) => [reason, step] as const))(
    "%s decides before every later step",
    (reason, step) => {
      const rest = STEPS.slice(step);
      const experiment = Object.assign({ ...base }, ...rest.map(([, change]) => change).reverse());
      const context = Object.assign({ ...unit }, ...rest.map(([, , change]) => change).reverse());
      expect(runExperiment(experiment, context).reason).toBe(reason);
    },
  );

  test("only drawn arms are exposures; forced ones are served but not counted", () => {
    const forced = runExperiment(base, { ...unit, forcedVariations: { exp: 1 } });
    expect(forced.result).toMatchObject({ inExperiment: true, hashUsed: false, value: "b" });
    expect(isExposure(forced)).toBe(false);
    expect(isExposure(runExperiment({ ...base, force: 1 }, unit))).toBe(false);
    expect(isExposure(runExperiment(base, unit))).toBe(true);
    expect(isExposure(runExperiment({ ...base, coverage: 0 }, unit))).toBe(false);
  });

  test("a forced variation that does not exist serves the baseline, outside of the experiment", () => {
    const { result } = runExperiment(base, { ...unit, forcedVariations: { exp: 5 } });
    expect(result).toMatchObject({ inExperiment: false, variationId: 0, value: "a" });
  });

  test("a namespace is read, unless filters replace it", () => {
    const namespace = ["n", 0, 0] as const;
    expect(runExperiment({ ...base, namespace }, unit).reason).toBe("namespace");
    const filters = [{ seed: "s", ranges: [[0, 1] as const] }];
    expect(runExperiment({ ...base, namespace, filters }, unit).reason).toBe("assigned");
  });

  test("overrides replace settings of the experiment that they name", () => {
    const overrides = { exp: { coverage: 0 }, other: { active: false } };
    expect(runExperiment(base, { ...unit, overrides }).reason).toBe("not_in_range");
  });

  test("a sticky arm skips targeting but not force, QA mode and the end of the experiment", () => {
    const documents = [{ attributeName: "id", attributeValue: "7", assignments: { exp__0: "1" } }];
    const stuck = (change: Partial<Experiment>, context: Partial<EvaluationContext> = {}) =>
      runExperiment(
        { ...base, ...change },
        { ...unit, sticky: stickySession(documents), ...context },
      );
    const blocked = { condition: { x: 1 }, filters: [{ seed: "s", ranges: [] }], coverage: 0 };
    expect(stuck(blocked)).toMatchObject({
      reason: "sticky",
      result: { variationId: 1, hashUsed: true, stickyBucketUsed: true },
    });
    expect(stuck({ force: 0 }).reason).toBe("experiment_force");
    expect(stuck({}, { qaMode: true }).reason).toBe("qa_mode");
    expect(stuck({ status: "stopped" }).reason).toBe("stopped");
    expect(stuck({ minBucketVersion: 1, bucketVersion: 1 }).reason).toBe("sticky_blocked");
    expect(stuck({ disableStickyBucketing: true, coverage: 0 }).reason).toBe("not_in_range");
  });
});

describe("evaluating a feature", () => {
  test("a holdout that lets the unit pass is told of, and so is the experiment after it", () => {
    const told: string[] = [];
    const result = evaluateFeature("f", {
      ...unit,
      features: {
        f: {
          defaultValue: 0,
          rules: [
            {
              key: "holdout",
              variations: [0, 0],
              ranges: [
                [0, 0],
                [0, 1],
              ],
              meta: [{}, { passthrough: true }],
            },
            { key: "inner", variations: [1, 2] },
          ],
        },
      },
      onOutcome: (experiment, outcome) => {
        if (isExposure(outcome)) told.push(experiment.key);
      },
    });
    expect(result.experiment?.key).toBe("inner");
    expect(told).toEqual(["holdout", "inner"]);
  });

  test("a rollout at coverage is closed, one by range is half-open", () => {
    const at = 0.0505; // v2 bucket of ("seed", "a")
    const rule = { force: 1, seed: "seed", hashVersion: 2 };
    const value = (change: object) =>
      evaluateFeature("f", {
        attributes: { id: "a" },
        features: { f: { defaultValue: 0, rules: [{ ...rule, ...change }] } },
      }).value;
    expect(value({ coverage: at })).toBe(1);
    expect(value({ range: [0, at] })).toBe(0);
    expect(value({ range: [at, 1] })).toBe(1);
  });

  test("names like those of every object's methods are unknown features", () => {
    expect(evaluateFeature("toString", { ...unit, features: {} }).source).toBe("unknownFeature");
  });
});
