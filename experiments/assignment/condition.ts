import { compareVersions } from "./version-order.ts";

/** What is known of a unit: JSON values by name, nested objects reached by dotted paths. */
export type Attributes = Readonly<Record<string, unknown>>;
/** A targeting condition in GrowthBook's MongoDB-like form. */
export type Condition = Readonly<Record<string, unknown>>;
/** Ids or other attribute values by group name, for `$inGroup`. */
export type SavedGroups = Readonly<Record<string, readonly unknown[]>>;

/**
 * Whether `attributes` meet `condition`; the empty condition is met by all. An unknown operator or an invalid pattern is
 * never met. Values are compared as the JavaScript SDK compares them, so that a configuration means the same here: a
 * missing attribute is null, counts as 0 in comparisons, and "8" equals 8.
 * Source: GrowthBook SDK specification, "evalCondition".
 */
export function evalCondition(
  attributes: Attributes,
  condition: Condition,
  savedGroups: SavedGroups = {},
): boolean {
  return Object.entries(condition).every(([key, expected]) => {
    switch (key) {
      case "$or":
        return isAnyMet(attributes, expected, savedGroups);
      case "$nor":
        return !isAnyMet(attributes, expected, savedGroups);
      case "$and":
        return asConditions(expected).every((each) => evalCondition(attributes, each, savedGroups));
      case "$not":
        return !evalCondition(attributes, expected as Condition, savedGroups);
      default:
        return meetsValue(expected, valueAt(attributes, key), savedGroups);
    }
  });
}

function isAnyMet(attributes: Attributes, conditions: unknown, savedGroups: SavedGroups): boolean {
  const all = asConditions(conditions);
  return all.length === 0 || all.some((each) => evalCondition(attributes, each, savedGroups));
}

const asConditions = (value: unknown): readonly Condition[] => (Array.isArray(value) ? value : []);

function valueAt(attributes: Attributes, path: string): unknown {
  let current: unknown = attributes;
  for (const part of path.split(".")) {
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, part)) {
      return null;
    }
    current = (current as Record<string, unknown>)[part];
  }
  return current;
}

function meetsValue(
  expected: unknown,
  actual: unknown,
  savedGroups: SavedGroups,
  foldCase = false,
): boolean {
  if (typeof expected === "string") {
    return foldCase
      ? String(actual).toLowerCase() === expected.toLowerCase()
      : String(actual) === expected;
  }
  if (typeof expected === "number") return Number(actual) === expected;
  if (typeof expected === "boolean") return actual !== null && Boolean(actual) === expected;
  if (expected === null) return actual === null;
  if (!isOperators(expected)) return JSON.stringify(actual) === JSON.stringify(expected);
  return Object.entries(expected).every(([operator, operand]) =>
    meetsOperator(operator, actual, operand, savedGroups),
  );
}

function isOperators(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const keys = Object.keys(value);
  return keys.length > 0 && keys.every((key) => key.startsWith("$"));
}

function meetsOperator(
  operator: string,
  actual: unknown,
  expected: unknown,
  savedGroups: SavedGroups,
): boolean {
  switch (operator) {
    case "$eq":
      return actual === expected;
    case "$ne":
      return actual !== expected;
    // The casts only silence the compiler: relations keep JavaScript's coercion.
    case "$lt":
      return (actual as number) < (expected as number);
    case "$lte":
      return (actual as number) <= (expected as number);
    case "$gt":
      return (actual as number) > (expected as number);
    case "$gte":
      return (actual as number) >= (expected as number);
    case "$veq":
      return compareVersions(actual, expected) === 0;
    case "$vne":
      return compareVersions(actual, expected) !== 0;
    case "$vlt":
      return compareVersions(actual, expected) < 0;
    case "$vlte":
      return compareVersions(actual, expected) <= 0;
    case "$vgt":
      return compareVersions(actual, expected) > 0;
    case "$vgte":
      return compareVersions(actual, expected) >= 0;
    case "$exists":
      return Boolean(expected) === (actual !== null && actual !== undefined);
    case "$type":
      return typeName(actual) === expected;
    case "$in":
      return Array.isArray(expected) && overlaps(actual, expected);
    case "$nin":
      return Array.isArray(expected) && !overlaps(actual, expected);
    case "$ini":
      return Array.isArray(expected) && overlaps(foldedCase(actual), foldedCase(expected));
    case "$nini":
      return Array.isArray(expected) && !overlaps(foldedCase(actual), foldedCase(expected));
    case "$inGroup":
      return overlaps(actual, savedGroups[String(expected)] ?? []);
    case "$notInGroup":
      return !overlaps(actual, savedGroups[String(expected)] ?? []);
    case "$regex":
      return matches(expected, "", actual) === true;
    case "$regexi":
      return matches(expected, "i", actual) === true;
    case "$notRegex":
      return matches(expected, "", actual) === false;
    case "$notRegexi":
      return matches(expected, "i", actual) === false;
    case "$not":
      return !meetsValue(expected, actual, savedGroups);
    case "$size":
      return Array.isArray(actual) && meetsValue(expected, actual.length, savedGroups);
    case "$elemMatch":
      return (
        Array.isArray(actual) && actual.some((item) => matchesItem(item, expected, savedGroups))
      );
    case "$all":
      return holdsAll(actual, expected, savedGroups, false);
    case "$alli":
      return holdsAll(actual, expected, savedGroups, true);
    default:
      return false;
  }
}

function overlaps(actual: unknown, expected: unknown): boolean {
  const allowed = expected as readonly unknown[];
  return Array.isArray(actual)
    ? actual.some((item) => allowed.includes(item))
    : allowed.includes(actual);
}

function foldedCase(value: unknown): unknown {
  if (typeof value === "string") return value.toLowerCase();
  return Array.isArray(value) ? value.map(foldedCase) : value;
}

function matchesItem(item: unknown, expected: unknown, savedGroups: SavedGroups): boolean {
  if (item === null || item === undefined) return false;
  return isOperators(expected)
    ? meetsValue(expected, item, savedGroups)
    : evalCondition(item as Attributes, expected as Condition, savedGroups);
}

function holdsAll(
  actual: unknown,
  expected: unknown,
  savedGroups: SavedGroups,
  foldCase: boolean,
): boolean {
  if (!Array.isArray(actual) || !Array.isArray(expected)) return false;
  return expected.every((each) =>
    actual.some((item) => meetsValue(each, item, savedGroups, foldCase)),
  );
}

const typeName = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : typeof value;

/** Patterns come from configurations and repeat per request; the bound only guards against endless reloads. */
const MAX_PATTERNS = 1000;
const patterns = new Map<string, RegExp | null>();

/** Null when the pattern is invalid. */
function matches(pattern: unknown, flags: "" | "i", actual: unknown): boolean | null {
  const key = `${flags}/${pattern}`;
  let compiled = patterns.get(key);
  if (compiled === undefined) {
    try {
      compiled = new RegExp(String(pattern), flags);
    } catch {
      compiled = null;
    }
    if (patterns.size >= MAX_PATTERNS) patterns.clear();
    patterns.set(key, compiled);
  }
  return compiled === null ? null : compiled.test(String(actual));
}
