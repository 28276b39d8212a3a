import { Command } from "commander";
import { readAliases } from "../../features/models/aliases.ts";
import { readLineage } from "../../features/models/versions.ts";
import { findVersion, readFound } from "../registry/find-version.ts";
import { modelsDir, type PlaceFlags, print, table, withPlace } from "./models-place.ts";

interface ShowFlags extends PlaceFlags {
  readonly stage?: string;
}

export function showCommand(): Command {
  return withPlace(
    new Command("show")
      .description("a version's manifest, where it comes from, and the moves that concern it")
      .argument("<version>", "its first digits, or champion or challenger")
      .option("--stage <name>", "where a version of that name is in several stages"),
  ).action(async (text: string, flags: ShowFlags) => {
    const found = await findVersion(modelsDir(flags), text, flags.stage);
    const { manifest } = await readFound(found);
    const lineage = (await readLineage(found.stageDir, found.version)) ?? null;
    const { champion, challenger, history } = await readAliases(found.stageDir);
    const moves = history.filter(({ from, to }) => [from, to].includes(found.version));
    const shown = {
      stage: found.stage,
      champion: champion === found.version,
      challenger: challenger === found.version,
      lineage,
      history: moves,
      manifest,
    };
    print(flags, shown, () => {
      const { data, validation, metrics } = manifest;
      const day = (ms: number): string => new Date(ms).toISOString().slice(0, 16);
      const facts = [
        ["stage", found.stage],
        ["version", found.version],
        ["parent", lineage?.parent ?? "none"],
        ["command", lineage?.command.join(" ") ?? "unknown"],
        ["data", `${data.source}, ${data.rows} rows ${day(data.from_ms)} – ${day(data.to_ms)}`],
        [
          "measured on",
          validation === undefined
            ? "nothing"
            : `${validation.rows} rows ${day(validation.from_ms)} – ${day(validation.to_ms)}`,
        ],
        ["features", `${manifest.features.length}, schema ${manifest.schema_hash}`],
        ...Object.entries(manifest.parts ?? {}).map(([name, { features, checksum }]) => [
          "part",
          `${name}, ${features.length} features, sha256 ${checksum.slice(0, 16)}`,
        ]),
        ["parameters", String(manifest.parameters)],
        ["seed", String(manifest.seed)],
      ];
      const measured = Object.entries(metrics).flatMap(([head, ofHead]) =>
        Object.entries(ofHead).map(([name, { value, low, high }]) => [
          `  ${head}`,
          name,
          `${value.toFixed(4)} (${low.toFixed(4)} – ${high.toFixed(4)})`,
        ]),
      );
      const moved = moves.map(({ at_ms, alias, action, from, to, reason }) => [
        `  ${day(at_ms)}`,
        `${action}: ${alias} ${from ?? "none"} → ${to ?? "none"}${reason === undefined ? "" : ` (${reason})`}`,
      ]);
      return [table(facts), table(measured), table(moved)].filter((part) => part !== "").join("\n");
    });
  });
}
