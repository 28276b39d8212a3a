import { isDeepStrictEqual } from "node:util";
import { bucketRanges, chooseVariation, equalWeights, inNamespace } from "./bucket-ranges.ts";
import { evalCondition } from "./condition.ts";
import { evaluateFeature, type FeatureContext, runWithFeatures } from "./evaluate-feature.ts";
import { ExperimentSchema, FeaturesSchema } from "./growthbook-schema.ts";
import { bucket } from "./hash.ts";
import { queryStringVariation } from "./query-string.ts";
import { type StickyDocument, stickySession } from "./sticky-document.ts";

export interface SectionReport {
  readonly section: string;
  readonly passed: number;
  readonly total: number;
  /** What failed: the case's name, what it asks for and what came. */
  readonly failures: readonly { name: string; expected: unknown; actual: unknown }[];
}

type Case = readonly unknown[];
interface Check {
  readonly name: string;
  readonly expected: unknown;
  readonly actual: unknown;
}

/** How each section's cases are run. The sections left out (decrypt, urlRedirect) are browser concerns. */
const SECTIONS: Readonly<Record<string, (testCase: Case) => Check>> = {
  hash: ([seed, value, version, expected]) => ({
    name: `${seed} ${value} v${version}`,
    expected,
    actual: bucket(seed as string, value as string, version as number),
  }),
  getBucketRange: ([name, args, expected]) => {
    const [count, coverage, weights] = args as [number, number, number[] | null];
    return { name: name as string, expected, actual: bucketRanges(count, coverage, weights) };
  },
  chooseVariation: ([name, n, ranges, expected]) => ({
    name: name as string,
    expected,
    actual: chooseVariation(n as number, ranges as [number, number][]),
  }),
  getEqualWeights: ([count, expected]) => ({
    name: String(count),
    expected,
    actual: equalWeights(count as number),
  }),
  inNamespace: ([name, id, namespace, expected]) => ({
    name: name as string,
    expected,
    actual: inNamespace(id as string, namespace as [string, number, number]),
  }),
  getQueryStringOverride: ([name, key, url, count, expected]) => ({
    name: name as string,
    expected,
    actual: queryStringVariation(key as string, url as string, count as number),
  }),
  evalCondition: ([name, condition, attributes, expected, savedGroups]) => ({
    name: name as string,
    expected,
    actual: evalCondition(
      attributes as Record<string, unknown>,
      condition as Record<string, unknown>,
      savedGroups as Record<string, unknown[]> | undefined,
    ),
  }),
  run: ([name, context, experiment, value, inExperiment, hashUsed]) => {
    const parsed = ExperimentSchema.parse(experiment);
    const { result } = runWithFeatures(parsed, featureContext(context));
    return {
      name: name as string,
      expected: { value, inExperiment, hashUsed },
      actual: {
        value: result.value,
        inExperiment: result.inExperiment,
        hashUsed: result.hashUsed,
      },
    };
  },
  feature: ([name, context, key, expected]) => {
    const result = evaluateFeature(key as string, featureContext(context));
    return { name: name as string, expected, actual: withFeatureId(result, key as string) };
  },
  stickyBucket: ([name, context, documents, key, expected, expectedDocuments]) => {
    const parsed = featureContext(context);
    const sticky = stickySession(documentsOfUnit(documents as StickyDocument[], parsed.attributes));
    const result = evaluateFeature(key as string, { ...parsed, sticky });
    const { experimentResult } = withFeatureId(result, key as string);
    return {
      name: name as string,
      expected: { result: expected, documents: expectedDocuments },
      actual: {
        result: experimentResult ?? null,
        documents: Object.fromEntries(sticky.documents()),
      },
    };
  },
};

/**
 * Runs GrowthBook's published cases (`cases.json`) section by section. Numbers agree when they differ by less than 1e-8,
 * the precision to which the file rounds.
 */
export function conformance(cases: Readonly<Record<string, unknown>>): SectionReport[] {
  return Object.entries(SECTIONS).map(([section, check]) => {
    const all = (cases[section] ?? []) as readonly Case[];
    const failures = all
      .map(check)
      .filter(({ expected, actual }) => !isDeepStrictEqual(rounded(expected), rounded(actual)));
    return { section, passed: all.length - failures.length, total: all.length, failures };
  });
}

function featureContext(context: unknown): FeatureContext {
  const { attributes, features, ...rest } = context as Partial<FeatureContext>;
  return { ...rest, attributes: attributes ?? {}, features: FeaturesSchema.parse(features ?? {}) };
}

/** The SDK's results repeat the feature's key; ours do not. */
function withFeatureId(
  result: ReturnType<typeof evaluateFeature>,
  featureId: string,
): { readonly value: unknown; readonly experimentResult?: object } {
  const { experimentResult, ...rest } = result;
  if (experimentResult === undefined) return rest;
  return { ...rest, experimentResult: { ...experimentResult, featureId } };
}

/** A store hands out only the documents under the unit's own attributes. */
function documentsOfUnit(
  documents: readonly StickyDocument[],
  attributes: FeatureContext["attributes"],
): StickyDocument[] {
  return documents.filter(
    ({ attributeName, attributeValue }) => attributes[attributeName] === attributeValue,
  );
}

/** Numbers to 8 digits, keys that hold undefined left out. */
function rounded(value: unknown): unknown {
  if (typeof value === "number") return Math.round(value * 1e8) / 1e8;
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== "object" || value === null) return value;
  const present = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(present.map(([key, each]) => [key, rounded(each)]));
}
