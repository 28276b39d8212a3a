import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, Option } from "commander";
import { RoostError } from "../../errors.ts";
import { readAliases } from "../../features/models/aliases.ts";
import { adoptUnversioned, readChampion } from "../../features/models/champion.ts";
import { publishVersion } from "../../features/models/versions.ts";
import { type ImportRequest, importBundle } from "../registry/imported-bundle.ts";
import { measureBundle } from "../registry/measure-bundle.ts";
import { validationRows } from "../registry/validation-rows.ts";
import {
  modelsDir,
  nameList,
  numberOf,
  type PlaceFlags,
  print,
  withPlace,
} from "./models-place.ts";
import { wholeNumber } from "./whole-number.ts";

type AddFlags = PlaceFlags &
  Omit<ImportRequest, "file" | "features"> & {
    readonly features?: string;
    readonly measure?: boolean;
    readonly rounds: number;
    readonly seed: number;
  };

export function addCommand(): Command {
  return withPlace(
    new Command("add")
      .description("publish a model of another making as a version: ONNX, XGBoost's JSON, a bundle")
      .argument("<file>", "an ONNX model, XGBoost's JSON (model or dump), or a bundle's directory")
      .addOption(
        new Option("--stage <name>", "what it is for")
          .choices(["heavy", "light"])
          .makeOptionMandatory(),
      )
      .option("--features <list>", "the features in the order of its columns, or a file of them")
      .option("--ids <list>", "the id columns of its second input", nameList)
      .option("--buckets <n>", "rows of its id tables; ids are hashed below it", wholeNumber)
      .option("--heads <list>", "the heads in the order of its outputs", nameList)
      .addOption(
        new Option("--gives <what>", "what its outputs for binary heads are").choices([
          "logits",
          "probabilities",
        ]),
      )
      .option("--outputs <list>", "the outputs to take; all of floats when not given", nameList)
      .option(
        "--missing <value>",
        "what it is given for a missing feature; NaN by itself",
        numberOf,
      )
      .option("--objective <name>", "of an XGBoost dump, which does not hold it")
      .option("--base-score <value>", "the same", numberOf)
      .option("--measure", "measure it on the data's validation rows, as the gate needs it")
      .option("--rounds <n>", "bootstrap resamples of each metric", wholeNumber, 200)
      .option("--seed <n>", "seed of resampling", wholeNumber, 1),
  ).action(async (file: string, flags: AddFlags) => {
    const { data, models, json, features, measure, rounds, seed, ...request } = flags;
    const imported = await importBundle({
      ...request,
      file,
      ...(features === undefined ? {} : { features: featureList(features) }),
    });
    const stageDir = join(modelsDir(flags), flags.stage);
    const nowMs = Date.now();
    await adoptUnversioned(stageDir, nowMs);
    const manifest = measure
      ? await measureBundle(
          imported.model,
          imported.manifest,
          await validationRows(data, [imported.manifest], await championsRows(stageDir)),
          { seed, rounds },
        )
      : imported.manifest;
    const { champion } = await readAliases(stageDir);
    const published = await publishVersion(stageDir, imported.model, manifest, {
      parent: champion,
      command: ["roost", ...process.argv.slice(2)],
      published_ms: nowMs,
    });
    print(flags, { stage: flags.stage, champion, manifest: published }, () => {
      const { version, parameters, heads } = published;
      return `${flags.stage} ${version}: ${parameters} parameters, ${heads.length} heads; roost models promote ${version} makes it champion`;
    });
  });
}

/** Measured where the champion was, the two can be compared. */
async function championsRows(stageDir: string) {
  try {
    return (await readChampion(stageDir)).manifest.validation;
  } catch (error) {
    if (error instanceof RoostError && error.code === "BAD_BUNDLE") return undefined;
    throw error;
  }
}

/** Names separated by commas or white space, or a file of them; lines that begin with # are comments. */
function featureList(text: string): string[] {
  const listed = existsSync(text) ? readFileSync(text, "utf8").replaceAll(/^\s*#.*$/gm, "") : text;
  return listed.split(/[\s,]+/).filter((name) => name !== "");
}
