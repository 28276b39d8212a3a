import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";

export interface PlaceFlags {
  readonly data: string;
  readonly models?: string;
  readonly json?: boolean;
}

/** The options that say where the models are, as `roost serve` finds them. */
export function withPlace(command: Command): Command {
  const { ROOST_DATA_DIR, ROOST_MODEL_DIR } = process.env;
  command.option("--data <dir>", "the data directory", ROOST_DATA_DIR ?? ".roost");
  const models = "where the models are kept; <data>/models when not given";
  if (ROOST_MODEL_DIR === undefined) command.option("--models <dir>", models);
  else command.option("--models <dir>", models, ROOST_MODEL_DIR);
  return command.option("--json", "print as JSON");
}

export const modelsDir = ({ data, models }: PlaceFlags): string => models ?? join(data, "models");

/** Prints one value as JSON, or as text. */
export function print(flags: PlaceFlags, value: unknown, text: () => string): void {
  process.stdout.write(flags.json ? `${JSON.stringify(value, null, 2)}\n` : `${text()}\n`);
}

/** A table with columns as wide as they need to be; numbers are right-aligned by whoever formats them. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] as number))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export const nameList = (text: string): string[] =>
  text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");

export function numberOf(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value))
    throw new InvalidArgumentError("must be a number");
  return value;
}
