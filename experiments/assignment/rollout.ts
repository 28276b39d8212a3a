import { inRange } from "./bucket-ranges.ts";
import type { Attributes } from "./condition.ts";
import type { Filter, Rule } from "./growthbook-schema.ts";
import { bucket } from "./hash.ts";
import { hashedUnit, unitBy } from "./hashed-unit.ts";
import type { StickySession } from "./sticky-document.ts";

/** Whether the unit misses the ranges of any filter. A missing attribute or unknown hash version misses. */
export function isFilteredOut(filters: readonly Filter[], attributes: Attributes): boolean {
  return filters.some(({ seed, ranges, attribute, hashVersion }) => {
    const { value } = unitBy(attributes, attribute || "id");
    const n = value === "" ? null : bucket(seed, value, hashVersion || 2);
    return n === null || !ranges.some((range) => inRange(n, range));
  });
}

/** Whether a partial rollout holds the unit: half-open in `range`, but closed at `coverage`, as in GrowthBook. */
export function isInRollout(
  rule: Rule,
  featureKey: string,
  context: { readonly attributes: Attributes; readonly sticky?: StickySession | undefined },
): boolean {
  const { range, coverage } = rule;
  if (range === undefined && coverage === undefined) return true;
  if (range === undefined && coverage === 0) return false;
  const { value } = hashedUnit(rule, context);
  const n = value === "" ? null : bucket(rule.seed || featureKey, value, rule.hashVersion || 1);
  if (n === null) return false;
  return range === undefined ? n <= (coverage as number) : inRange(n, range);
}
