import type { Attributes } from "./condition.ts";
import type { StickySession } from "./sticky-document.ts";

/** What is hashed: one attribute of the unit. */
export interface HashedUnit {
  readonly attribute: string;
  /** The attribute as text, "" when missing (empty, null, 0 and false count as missing). */
  readonly value: string;
  /** As in the attributes, "" when missing. */
  readonly raw: unknown;
}

interface UnitContext {
  readonly attributes: Attributes;
  readonly sticky?: StickySession | undefined;
}

interface UnitChoice {
  readonly hashAttribute?: string | undefined;
  readonly fallbackAttribute?: string | undefined;
  readonly disableStickyBucketing?: boolean | undefined;
}

export function unitBy(attributes: Attributes, attribute: string): HashedUnit {
  const raw = attributes[attribute] || "";
  return { attribute, raw, value: String(raw) };
}

/**
 * The unit by `hashAttribute` (`id` when absent); by `fallbackAttribute` when that is missing and sticky buckets can
 * carry the arm over later.
 */
export function hashedUnit(choice: UnitChoice, context: UnitContext): HashedUnit {
  const unit = unitBy(context.attributes, choice.hashAttribute || "id");
  const { fallbackAttribute } = choice;
  if (unit.value !== "" || !fallbackAttribute || !isStickyOn(choice, context)) return unit;
  const fallback = unitBy(context.attributes, fallbackAttribute);
  return fallback.value === "" ? unit : fallback;
}

export function isStickyOn(choice: UnitChoice, context: UnitContext): boolean {
  return context.sticky !== undefined && !choice.disableStickyBucketing;
}
