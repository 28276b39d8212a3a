import { evalCondition as evalConditionOfSdk, GrowthBook } from "@growthbook/growthbook";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { evalCondition } from "./condition.ts";
import { evaluateFeature, runWithFeatures } from "./evaluate-feature.ts";
import { ExperimentSchema, FeaturesSchema } from "./growthbook-schema.ts";

const SEED = { seed: 20_240_501, numRuns: 1500 };
const unit = fc.double({ min: 0, max: 1, noNaN: true });
const range = fc.tuple(unit, unit);
const id = fc.oneof(
  fc.string({ minLength: 0, maxLength: 20 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  fc.integer({ min: 0, max: 2 ** 31 }),
);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });
/** For settings that mostly exclude: with all of them at once nobody would be left to compare. */
const rarely = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });

const value = fc.oneof(
  fc.constantFrom("a", "b", "A", "8", "1.2.3", "1.10.0-beta", "", "null"),
  fc.integer({ min: -3, max: 12 }),
  fc.boolean(),
  fc.constant(null),
);
const values = fc.oneof(value, fc.array(value, { maxLength: 3 }));
const attributeName = fc.constantFrom("x", "y", "deep.z", "missing");
const attributes = fc.record(
  { x: values, y: values, deep: fc.record({ z: values }) },
  { requiredKeys: [] },
);
const plainOperators = fc.oneof(
  fc.record({ $eq: value }),
  fc.record({ $ne: value }),
  fc.record({ $lt: value, $gt: value }, { requiredKeys: ["$lt"] }),
  fc.record({ $lte: value, $gte: value }, { requiredKeys: ["$gte"] }),
  fc.record({ $in: values }),
  fc.record({ $nin: values }),
  fc.record({ $ini: values }),
  fc.record({ $nini: values }),
  fc.record({ $all: values }),
  fc.record({ $alli: values }),
  fc.record({ $exists: fc.boolean() }),
  fc.record({ $type: fc.constantFrom("string", "number", "boolean", "null", "array", "object") }),
  fc.record({ $regex: fc.constantFrom("^a", "[0-9]", "/", "null", "(") }),
  fc.record({ $regexi: fc.constantFrom("^a", "B$", "(") }),
  fc.record({ $size: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ $inGroup: fc.constantFrom("vips", "nobody") }),
  fc.record({ $notInGroup: fc.constantFrom("vips", "nobody") }),
  fc.record({ $veq: fc.constantFrom("1.2.3", "v1.2.3", "1.2") }),
  fc.record({ $vgt: fc.constantFrom("1.2.3", "1.2.3-alpha") }),
  fc.record({ $vlte: fc.constantFrom("1.10.0", "2.0.0+build") }),
  fc.record({ $unknown: value }),
);
const operators = fc.oneof(
  plainOperators,
  plainOperators.map((inner) => ({ $not: inner })),
  plainOperators.map((inner) => ({ $elemMatch: inner })),
  fc.record({ $size: plainOperators }),
);
const fieldCondition = fc
  .dictionary(attributeName, fc.oneof(values, operators), { maxKeys: 2 })
  .map((condition): Record<string, unknown> => ({ ...condition }));
const condition = fc.oneof(
  fieldCondition,
  fc.record({ $or: fc.array(fieldCondition, { maxLength: 3 }) }),
  fc.record({ $nor: fc.array(fieldCondition, { maxLength: 3 }) }),
  fc.record({ $and: fc.array(fieldCondition, { maxLength: 3 }) }),
  fc.record({ $not: fieldCondition }),
);

const experiment = fc
  .record(
    {
      // The prefix keeps keys apart from names such as "toString", which the SDK takes for forced variations.
      key: fc.string({ maxLength: 12 }).map((text) => `e${text}`),
      variations: fc.array(fc.integer(), { minLength: 1, maxLength: 4 }),
      seed: optional(fc.string({ maxLength: 10 })),
      hashAttribute: fc.constantFrom("id", "company"),
      coverage: optional(fc.double({ min: -0.5, max: 1.5, noNaN: true })),
      weights: optional(fc.array(fc.double({ min: 0, max: 0.7, noNaN: true }), { maxLength: 5 })),
      ranges: rarely(fc.array(range, { minLength: 1, maxLength: 5 })),
      filters: rarely(
        fc.array(
          fc.record({ seed: fc.string(), ranges: fc.array(range, { minLength: 1, maxLength: 2 }) }),
          { minLength: 1, maxLength: 2 },
        ),
      ),
      namespace: rarely(fc.tuple(fc.string(), unit, unit)),
      condition: rarely(condition),
      status: rarely(fc.constantFrom("draft", "running", "stopped")),
      active: rarely(fc.boolean()),
      force: rarely(fc.integer({ min: -1, max: 6 })),
    },
    { requiredKeys: ["key", "variations"] },
  )
  .map((fields) => ({
    ...Object.fromEntries(Object.entries(fields).filter(([, each]) => each !== undefined)),
    key: fields.key,
    variations: fields.variations,
    hashVersion: 2,
  }));

/** The SDK prints unknown operators; its log must not drown ours. */
function quietly<T>(run: () => T): T {
  const log = console.error;
  console.error = () => {};
  try {
    return run();
  } finally {
    console.error = log;
  }
}

describe("agreement with GrowthBook's JavaScript SDK", () => {
  test("on conditions of every operator", () => {
    const groups = { vips: ["a", 3] };
    let met = 0;
    fc.assert(
      fc.property(attributes, condition, (given, asked) => {
        const expected = quietly(() => evalConditionOfSdk(given, asked as never, groups));
        expect(evalCondition(given, asked, groups)).toBe(expected);
        if (expected) met++;
      }),
      { ...SEED, numRuns: 5000 },
    );
    expect(met).toBeGreaterThan(500);
    expect(met).toBeLessThan(4500);
  });

  test("on experiments: arm, bucket, inclusion and key", () => {
    let included = 0;
    fc.assert(
      fc.property(experiment, id, id, attributes, (given, userId, company, others) => {
        const unitAttributes = { ...others, id: userId, company };
        const sdk = new GrowthBook({ attributes: unitAttributes });
        const expected = quietly(() => sdk.run(given as never));
        sdk.destroy();
        const { result } = runWithFeatures(ExperimentSchema.parse(given), {
          attributes: unitAttributes,
          features: {},
        });
        const defined = Object.entries(result).filter(([, each]) => each !== undefined);
        expect({ ...Object.fromEntries(defined), featureId: null }).toEqual({
          ...expected,
          featureId: null,
        });
        if (result.inExperiment) included++;
      }),
      SEED,
    );
    expect(included).toBeGreaterThan(150);
  });

  test("on features with rules, rollouts, holdouts and prerequisites", () => {
    const arms = fc.record({
      key: fc.constantFrom("e1", "e2"),
      variations: fc.array(fc.integer(), { minLength: 2, maxLength: 3 }),
      coverage: unit,
      hashVersion: fc.constantFrom(1, 2),
    });
    const rule = fc.oneof(
      fc.record({ force: fc.integer(), coverage: unit }),
      fc.record({ force: fc.integer(), range, hashVersion: fc.constantFrom(1, 2) }),
      fc.record({ force: fc.integer(), condition }),
      fc.record({
        force: fc.integer(),
        parentConditions: fc.array(
          fc.record({
            id: fc.constantFrom("first", "second", "third", "unknown"),
            condition: fc.record({ value: fc.oneof(value, plainOperators) }),
            gate: fc.boolean(),
          }),
          { minLength: 1, maxLength: 2 },
        ),
      }),
      arms,
      arms.map((each) => ({ ...each, meta: each.variations.map(() => ({ passthrough: true })) })),
    );
    const feature = fc.record({ defaultValue: value, rules: fc.array(rule, { maxLength: 4 }) });
    const features = fc.record({ first: feature, second: feature, third: feature });
    const sources = new Set<string>();
    fc.assert(
      fc.property(features, id, attributes, (given, userId, others) => {
        const unitAttributes = { ...others, id: userId };
        const sdk = new GrowthBook({ attributes: unitAttributes, features: given as never });
        const expected = quietly(() => sdk.evalFeature("first"));
        sdk.destroy();
        const context = { attributes: unitAttributes, features: FeaturesSchema.parse(given) };
        const { value: got, on, off, source, ruleId } = evaluateFeature("first", context);
        const { value: asked, ruleId: askedRule } = expected;
        expect({ got, on, off, source, ruleId }).toEqual({
          got: asked,
          on: expected.on,
          off: expected.off,
          source: expected.source,
          ruleId: askedRule,
        });
        sources.add(source);
      }),
      SEED,
    );
    expect([...sources].sort()).toEqual(
      ["cyclicPrerequisite", "defaultValue", "experiment", "force", "prerequisite"].sort(),
    );
  });
});
