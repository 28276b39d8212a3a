import { Command } from "commander";
import type { Bundle } from "../../features/bundle.ts";
import { TWO_TOWER } from "../../features/tower-bundle.ts";
import { compareTowers } from "../registry/compare-towers.ts";
import {
  compareManifests,
  comparePaired,
  type VersionComparison,
} from "../registry/compare-versions.ts";
import { findVersion, readFound } from "../registry/find-version.ts";
import { validationRows } from "../registry/validation-rows.ts";
import { towerValidation } from "../train-towers.ts";
import { modelsDir, type PlaceFlags, print, table, withPlace } from "./models-place.ts";
import { wholeNumber } from "./whole-number.ts";

interface CompareFlags extends PlaceFlags {
  readonly stage?: string;
  readonly measure?: boolean;
  readonly rounds: number;
  readonly seed: number;
}

/** Both on the rows that A was measured on. */
async function measured(
  a: Bundle,
  b: Bundle,
  { data, seed, rounds }: CompareFlags,
): Promise<VersionComparison> {
  const options = { seed, rounds };
  const { validation } = a.manifest;
  if (a.manifest.kind === TWO_TOWER) {
    const { rows, log } = await towerValidation(data, validation);
    return compareTowers(a, b, rows, log, options);
  }
  const rows = await validationRows(data, [a.manifest, b.manifest], validation);
  return comparePaired(a, b, rows, options);
}

export function compareCommand(): Command {
  return withPlace(
    new Command("compare")
      .description("metrics of two versions, the difference of B to A, and a verdict each")
      .argument("<a>", "a version's first digits, or champion or challenger")
      .argument("<b>", "the same")
      .option("--stage <name>", "where a version of that name is in several stages")
      .option("--measure", "measure both on the data's validation rows, for paired intervals")
      .option("--rounds <n>", "bootstrap resamples of each paired interval", wholeNumber, 200)
      .option("--seed <n>", "seed of resampling", wholeNumber, 1),
  ).action(async (textA: string, textB: string, flags: CompareFlags) => {
    const dir = modelsDir(flags);
    const foundA = await findVersion(dir, textA, flags.stage);
    const foundB = await findVersion(dir, textB, flags.stage);
    const [a, b] = [await readFound(foundA), await readFound(foundB)];
    const comparison = flags.measure
      ? await measured(a, b, flags)
      : compareManifests(a.manifest, b.manifest);
    print(flags, { a: foundA.version, b: foundB.version, ...comparison }, () => {
      const span = (value: { value: number; low?: number; high?: number }): string =>
        value.low === undefined || value.high === undefined
          ? value.value.toFixed(4)
          : `${value.value.toFixed(4)} (${value.low.toFixed(4)} – ${value.high.toFixed(4)})`;
      const rows = comparison.metrics.map(({ head, metric, a, b, difference, verdict }) => [
        head,
        metric,
        span(a),
        span(b),
        span(difference),
        verdict,
      ]);
      const header = ["head", "metric", foundA.version, foundB.version, "difference", "verdict"];
      const note = comparison.same_rows
        ? ""
        : "\nThey were not measured on the same rows, so no difference means anything; --measure does that.";
      return `${table([header, ...rows])}${note}`;
    });
  });
}
