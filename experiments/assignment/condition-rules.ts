import { type ConfigProblem, pointer } from "./config-problem.ts";

const GROUPING = ["$or", "$nor", "$and"];
const OPERATORS = new Set([
  ...["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"],
  ...["$veq", "$vne", "$vlt", "$vlte", "$vgt", "$vgte"],
  ...["$exists", "$type", "$in", "$nin", "$ini", "$nini", "$all", "$alli"],
  ...["$regex", "$regexi", "$notRegex", "$notRegexi", "$not", "$size", "$elemMatch"],
]);
const LISTS = new Set(["$in", "$nin", "$ini", "$nini", "$all", "$alli"]);

/**
 * Faults of a targeting condition that evaluation would pass over in silence, excluding everyone: unknown operators,
 * invalid patterns, lists that are none.
 */
export function conditionProblems(
  condition: Readonly<Record<string, unknown>>,
  path: readonly PropertyKey[],
): ConfigProblem[] {
  return Object.entries(condition).flatMap(([key, expected]) => {
    const here = [...path, key];
    if (key === "$not") {
      return isObject(expected)
        ? conditionProblems(expected, here)
        : [{ pointer: pointer(...here), message: "must be a condition" }];
    }
    if (!GROUPING.includes(key)) return valueProblems(expected, here);
    if (!Array.isArray(expected)) {
      return [{ pointer: pointer(...here), message: "must be a list of conditions" }];
    }
    return expected.flatMap((each, at) =>
      isObject(each)
        ? conditionProblems(each, [...here, at])
        : [{ pointer: pointer(...here, at), message: "must be a condition" }],
    );
  });
}

function valueProblems(expected: unknown, path: readonly PropertyKey[]): ConfigProblem[] {
  if (!isObject(expected)) return [];
  const operators = Object.keys(expected).filter((key) => key.startsWith("$"));
  if (operators.length === 0) return [];
  return Object.entries(expected).flatMap(([operator, operand]) => {
    const here = [...path, operator];
    const problem = (message: string): ConfigProblem[] => [{ pointer: pointer(...here), message }];
    if (!OPERATORS.has(operator)) return problem("is not a known operator");
    if (LISTS.has(operator) && !Array.isArray(operand)) return problem("must be a list");
    if (operator.toLowerCase().includes("regex") && !isPattern(operand)) {
      return problem("is not a valid pattern");
    }
    if (operator === "$not" || operator === "$size") return valueProblems(operand, here);
    if (operator === "$elemMatch" && isObject(operand)) {
      return Object.keys(operand).some((key) => key.startsWith("$"))
        ? valueProblems(operand, here)
        : conditionProblems(operand, here);
    }
    return [];
  });
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function isPattern(value: unknown): boolean {
  if (typeof value !== "string") return false;
  try {
    new RegExp(value);
    return true;
  } catch {
    return false;
  }
}
