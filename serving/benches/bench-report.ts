import { cpus, loadavg } from "node:os";

/** One figure of a benchmark, and what was asked of it where something was. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly asked?: string;
  readonly ok?: boolean;
}

/** A figure to four decimals. */
export const figure = (name: string, value: number, unit: string): Figure => ({
  name,
  value: Math.round(value * 10_000) / 10_000,
  unit,
});

/** @param q 0–1 */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;
}

/** Writes a benchmark's report: one JSON object with all of it, or its figures as a table and then `text`. */
export function writeReport(
  bench: string,
  report: { readonly figures: readonly Figure[]; readonly [part: string]: unknown },
  json: boolean,
  text = "",
): void {
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`;
  const load = loadavg();
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ bench, machine, node: process.version, load_average: load, ...report })}\n`,
    );
    return;
  }
  const lines = report.figures.map(({ name, value, unit, asked, ok }) => {
    const verdict = asked === undefined ? "" : `  asked ${asked} ${ok ? "✓" : "✗"}`;
    return `${name.padEnd(34)}${String(value).padStart(12)} ${unit}${verdict}\n`;
  });
  const loads = load.map((value) => value.toFixed(1)).join(" ");
  process.stdout.write(
    `${machine}, Node ${process.version}, load ${loads}\n${lines.join("")}${text}`,
  );
}
