import { Command } from "commander";
import { publishVersion } from "../../features/models/versions.ts";
import { findVersion, readFound } from "../registry/find-version.ts";
import { quantisedBundle } from "../registry/quantised-bundle.ts";
import { modelsDir, type PlaceFlags, print, withPlace } from "./models-place.ts";
import { wholeNumber } from "./whole-number.ts";

type QuantiseFlags = PlaceFlags & {
  readonly stage?: string;
  readonly rows: number;
  readonly rounds: number;
  readonly seed: number;
};

export function quantiseCommand(): Command {
  return withPlace(
    new Command("quantise")
      .description("publish the 8-bit form of a version as a version of its own, measured")
      .argument("<version>", "first digits of a version, or an alias")
      .option("--stage <name>", "where a version of that name is in several stages")
      .option("--rows <n>", "rows of the data that scales are taken from", wholeNumber, 8192)
      .option("--rounds <n>", "bootstrap resamples of each metric", wholeNumber, 200)
      .option("--seed <n>", "seed of resampling", wholeNumber, 1),
  ).action(async (text: string, flags: QuantiseFlags) => {
    const found = await findVersion(modelsDir(flags), text, flags.stage);
    const bundle = await readFound(found);
    const { data, rows, rounds, seed } = flags;
    const quantised = await quantisedBundle({ bundle, data, rows, rounds, seed });
    const manifest = await publishVersion(found.stageDir, quantised.model, quantised.manifest, {
      parent: found.version,
      command: ["roost", ...process.argv.slice(2)],
      published_ms: Date.now(),
    });
    const bytes = { before: bundle.model.length, after: quantised.model.length };
    print(
      flags,
      { stage: found.stage, parent: found.version, bytes, manifest },
      () =>
        `${found.stage} ${manifest.version}: 8 bits of ${found.version}, ${bytes.before} → ${bytes.after} bytes; roost models compare ${found.version} ${manifest.version} --measure tells what it costs, roost models promote ${manifest.version} makes it champion`,
    );
  });
}
