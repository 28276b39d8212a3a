import { join } from "node:path";
import { Command, Option } from "commander";
import { RoostError } from "../../errors.ts";
import { ALIASES, type Alias } from "../../features/models/aliases.ts";
import { hasChampion } from "../../features/models/champion.ts";
import { stagesOf } from "../../features/models/versions.ts";
import { findVersion } from "../registry/find-version.ts";
import {
  DEFAULT_GATE,
  type GateFinding,
  type GateRule,
  parseGate,
  ruleText,
} from "../registry/gate.ts";
import { promote, rollback } from "../registry/promote.ts";
import { modelsDir, type PlaceFlags, print, table, withPlace } from "./models-place.ts";

interface PromoteFlags extends PlaceFlags {
  readonly stage?: string;
  readonly alias: Alias;
  readonly gate: readonly GateRule[];
  readonly force?: string;
}

export function promoteCommand(): Command {
  return withPlace(
    new Command("promote")
      .description("make a version the champion (what is served), unless the gate refuses it")
      .argument("<version>", "its first digits, or challenger")
      .option("--stage <name>", "where a version of that name is in several stages")
      .addOption(
        new Option("--alias <name>", "the alias to move").choices(ALIASES).default("champion"),
      )
      .addOption(
        new Option(
          "--gate <list>",
          "how much worse than the champion's a metric may be: [HEAD.]METRIC=TOLERANCE, …",
        )
          .argParser(parseGate)
          .default(DEFAULT_GATE, DEFAULT_GATE.map(ruleText).join(",")),
      )
      .option("--force <reason>", "promote against the gate; the reason is kept in the history"),
  ).action(async (text: string, flags: PromoteFlags) => {
    const { stage, stageDir, version } = await findVersion(modelsDir(flags), text, flags.stage);
    if (flags.force?.trim() === "")
      throw new RoostError("BAD_ARGUMENT", "--force needs a reason that later readers understand");
    const promotion = await promote({
      stageDir,
      version,
      alias: flags.alias,
      gate: flags.gate,
      action: "promote",
      nowMs: Date.now(),
      ...(flags.force === undefined ? {} : { force: flags.force }),
    });
    print(flags, { stage, ...promotion }, () =>
      [
        promotion.moved
          ? `${stage} ${flags.alias}: ${promotion.from ?? "none"} → ${version}`
          : `${stage} ${flags.alias} is ${version} already`,
        ...(promotion.findings.length === 0 ? [] : [table(promotion.findings.map(told))]),
        ...promotion.overridden.map((problem) => `overridden: ${problem}`),
      ].join("\n"),
    );
  });
}

function told({ head, metric, champion, candidate, tolerance, passed }: GateFinding): string[] {
  return [
    `  ${head}`,
    metric,
    `${champion.toFixed(4)} → ${candidate === null ? "not measured" : candidate.toFixed(4)}`,
    `tolerance ${tolerance}`,
    passed ? "passed" : "failed",
  ];
}

export function rollbackCommand(): Command {
  return withPlace(
    new Command("rollback")
      .description("make the champion before the champion again")
      .option("--stage <name>", "which stage; needed when several have a champion"),
  ).action(async (flags: PlaceFlags & { readonly stage?: string }) => {
    const dir = modelsDir(flags);
    const stage = await championStage(dir, flags.stage);
    const moved = await rollback(join(dir, stage), Date.now());
    print(flags, { stage, ...moved }, () => `${stage} champion: ${moved.from} → ${moved.to}`);
  });
}

/** The stage that is named, or the only one with a champion. */
async function championStage(dir: string, named: string | undefined): Promise<string> {
  const stages: string[] = [];
  for (const stage of await stagesOf(dir))
    if (await hasChampion(join(dir, stage))) stages.push(stage);
  if (named !== undefined && stages.includes(named)) return named;
  if (named !== undefined)
    throw new RoostError("BAD_ARGUMENT", `stage ${named} in ${dir} has no champion`);
  if (stages.length === 1) return stages[0] as string;
  throw new RoostError(
    "BAD_ARGUMENT",
    stages.length === 0
      ? `no stage in ${dir} has a champion`
      : `name the stage with --stage: ${stages.join(", ")} have champions`,
  );
}
