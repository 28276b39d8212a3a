/** One property of the world beside what was asked of it. */
export interface TargetRow {
  readonly name: string;
  readonly value: number;
  /** Asked range; absent ends are open. A row without either is printed for information. */
  readonly min?: number;
  readonly max?: number;
  /** How `value` reads: a share as per cent, or a plain number. */
  readonly format: "percent" | "number";
  /** How it was measured, where the name leaves that open. */
  readonly note?: string;
}

export function isMet({ value, min, max }: TargetRow): boolean {
  return (min === undefined || value >= min) && (max === undefined || value <= max);
}

/** The table as text: measured, asked, ok or ✗. */
export function formatTargets(rows: readonly TargetRow[]): string {
  const name = Math.max(...rows.map((row) => row.name.length));
  return rows
    .map((row) => {
      const isAsked = row.min !== undefined || row.max !== undefined;
      const mark = !isAsked ? "  " : isMet(row) ? "ok" : "✗ ";
      const value = show(row.value, row.format).padStart(9);
      const note = row.note ? `  ${row.note}` : "";
      return `${mark} ${row.name.padEnd(name)} ${value}  ${asked(row).padEnd(16)}${note}`.trimEnd();
    })
    .join("\n");
}

function asked({ min, max, format }: TargetRow): string {
  if (min !== undefined && max !== undefined) return `${show(min, format)} … ${show(max, format)}`;
  if (min !== undefined) return `≥ ${show(min, format)}`;
  return max === undefined ? "" : `≤ ${show(max, format)}`;
}

function show(value: number, format: TargetRow["format"]): string {
  if (format === "number") return value.toPrecision(3);
  const percent = value * 100;
  return `${Math.abs(percent) >= 0.1 ? percent.toPrecision(3) : percent.toFixed(4)} %`;
}
