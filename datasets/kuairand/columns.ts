import { RoostError } from "../../errors.ts";
import type { CsvHeader } from "./csv.ts";
import type { FileReport } from "./report.ts";

/**
 * Finds the columns of a file by name and notes those that nobody uses.
 * @throws BAD_DATASET naming every required column that is missing
 */
export function findColumns<Required extends string, Optional extends string>(
  header: CsvHeader,
  report: FileReport,
  required: readonly Required[],
  optional: readonly Optional[],
  ignored: readonly string[] = [],
): Record<Required | Optional, number> {
  const missing = required.filter((name) => header.index(name) < 0);
  if (missing.length > 0)
    throw new RoostError("BAD_DATASET", `${report.file} lacks the columns ${missing.join(", ")}`);
  const known = new Set<string>([...required, ...optional, ...ignored]);
  report.unused_columns.push(...header.names.filter((name) => !known.has(name)));
  return Object.fromEntries(
    [...required, ...optional].map((name) => [name, header.index(name)]),
  ) as Record<Required | Optional, number>;
}

/** A whole number in [0, max], or undefined. Pandas writes whole columns with gaps as "9.0". */
export function wholeNumber(text: string | undefined, max: number): number | undefined {
  if (text === undefined || !/^\d+(\.0+)?$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** An id as a decimal string without leading zeros, or undefined. */
export function idOf(text: string | undefined): string | undefined {
  const value = wholeNumber(text, Number.MAX_SAFE_INTEGER);
  return value === undefined ? undefined : String(value);
}
