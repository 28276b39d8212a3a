/**
 * Compares version strings by the parts between dots and dashes: negative when a < b, 0 when equal, positive when a > b.
 * A leading v and build metadata (+…) do not count; numbers compare as numbers and come before words; three parts are a
 * release and come after their pre-releases. Missing values are version 0.
 * Source: GrowthBook SDK specification, "paddedVersionString"; deviation: numbers may have more than five digits.
 */
export function compareVersions(a: unknown, b: unknown): number {
  const [left, right] = [versionParts(a), versionParts(b)];
  const shared = Math.min(left.length, right.length);
  for (let i = 0; i < shared; i++) {
    const order = comparePart(left[i] as string, right[i] as string);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function versionParts(version: unknown): string[] {
  const text = typeof version === "number" ? String(version) : version;
  const parts = (typeof text === "string" && text !== "" ? text : "0")
    .replace(/^v|\+.*$/g, "")
    .split(/[-.]/);
  // "~" comes after every letter, so a release follows its pre-releases.
  return parts.length === 3 ? [...parts, "~"] : parts;
}

function comparePart(a: string, b: string): number {
  const [aIsNumber, bIsNumber] = [isNumber(a), isNumber(b)];
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  if (!aIsNumber) return a < b ? -1 : a > b ? 1 : 0;
  const order = BigInt(a) - BigInt(b);
  return order < 0n ? -1 : order > 0n ? 1 : 0;
}

const isNumber = (part: string): boolean => /^[0-9]+$/.test(part);
