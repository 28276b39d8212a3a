import { Command } from "commander";
import { compareManifests, comparePaired } from "../registry/compare-versions.ts";
import { findVersion, readFound } from "../registry/find-version.ts";
import { validationRows } from "../registry/validation-rows.ts";
import { modelsDir, type PlaceFlags, print, table, withPlace } from "./models-place.ts";
import { wholeNumber } from "./whole-number.ts";

interface CompareFlags extends PlaceFlags {
  readonly stage?: string;
  readonly measure?: boolean;
  readonly rounds: number;
  readonly seed: number;
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
      ? await comparePaired(
          a,
          b,
          await validationRows(flags.data, [a.manifest, b.manifest], a.manifest.validation),
          { seed: flags.seed, rounds: flags.rounds },
        )
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
