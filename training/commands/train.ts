import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { readManifest } from "../../datasets/dataset.ts";
import { moment, sinceMoment } from "../../datasets/split.ts";
import { RoostError } from "../../errors.ts";
import { TWO_TOWER } from "../../features/tower-bundle.ts";
import type { ViewerRates } from "../feature-sets.ts";
import { compareLearning } from "../registry/compare-learning.ts";
import type { LearningReport } from "../registry/learning-report.ts";
import { RANKERS, STAGES, type TrainedStage, trainRankers } from "../train-rankers.ts";
import { noWarmStart } from "../train-towers.ts";
import type { RankerKind } from "../trainers/trained-model.ts";
import { learningTables } from "./learning-tables.ts";
import { trainReportText } from "./train-report.ts";
import { wholeNumber } from "./whole-number.ts";

function dayList(text: string): number[] {
  const days = text.split(",").map(Number);
  if (!days.every((count) => count > 0 && Number.isFinite(count)))
    throw new InvalidArgumentError("must be numbers of days, like 1,2,4,7");
  return days;
}

function passes(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value)))
    throw new InvalidArgumentError("must be a number above 0");
  return value;
}

function share(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1))
    throw new InvalidArgumentError("must be a number above 0, at most 1");
  return value;
}

function stages(text: string): TrainedStage[] {
  const kinds = text.split(",").map((kind) => kind.trim());
  for (const kind of kinds)
    if (!(STAGES as readonly string[]).includes(kind))
      throw new InvalidArgumentError(`must be some of ${STAGES.join(",")}`);
  return kinds as TrainedStage[];
}

interface TrainFlags {
  data: string;
  out?: string;
  trainUntil?: string;
  validateUntil?: string;
  since?: string;
  from?: string;
  compareLearning?: boolean;
  studentOf?: string;
  width?: number;
  rankers?: TrainedStage[];
  viewerRates?: ViewerRates;
  positionWeights?: boolean;
  rareNegatives?: number;
  seed: number;
  threads: number;
  members: number;
  passes?: number;
  curve?: number[];
  engine: "onnx" | "tfjs";
  metricRounds: number;
  promote?: boolean;
  checkpoint?: string;
  json?: boolean;
  progressJson?: boolean;
}

export function trainCommand(): Command {
  return new Command("train")
    .description("train rankers on a data set and publish them as new versions")
    .requiredOption("--data <dir>", "directory that roost simulate or roost import wrote")
    .option("--out <dir>", "where the models are kept; <data>/models when not given")
    .option("--train-until <date>", "last day (its end) to train on, or a moment")
    .option("--validate-until <date>", "last day (its end) to validate on, or a moment")
    .option("--since <date>", "go on from the champion on the days from this one on, or a moment")
    .option("--from <version>", "with --since: the version to go on from; champion when not given")
    .option(
      "--compare-learning",
      "with --since: publish nothing, compare frozen, warm-started and retrained models by day",
    )
    .option(
      "--student-of <version>",
      "train heavy, or light, on what this heavy ranker predicts as well as on the labels",
    )
    .option(
      "--width <share>",
      "with --student-of: a heavy student's layers by the teacher's; half when not given",
      share,
    )
    .option("--rankers <list>", `some of ${STAGES.join(",")}; all that suit when not given`, stages)
    .addOption(
      new Option(
        "--viewer-rates <kind>",
        "how the heavy ranker reads a viewer's own rates; as the data set says when not given",
      ).choices(["running", "daily"]),
    )
    .option("--seed <n>", "seed of initial weights and row order", wholeNumber, 1)
    .option("--threads <n>", "threads of the training runtime", wholeNumber, 2)
    .option("--members <n>", "networks averaged in the heavy ranker", wholeNumber, 1)
    .option("--engine <name>", "onnx or tfjs", "onnx")
    .option(
      "--passes <n>",
      "passes of two_tower over what was welcomed; without it as many as half a minute allows",
      passes,
    )
    .option(
      "--rare-negatives <share>",
      "share of rare heads' negatives that each step learns from; predictions stay those of all",
      share,
    )
    .option("--position-weights", "weigh rows by how seldom their position is looked at")
    .option("--curve <days>", "also train heavy on the last 1,2,4 … days each", dayList)
    .option("--metric-rounds <n>", "bootstrap resamples of each metric", wholeNumber, 200)
    .option("--promote", "make what was trained champion where it passes the gate")
    .option("--checkpoint <dir>", "keep what an interrupted training goes on from here")
    .option("--json", "print the report as JSON")
    .option("--progress-json", "print progress as one JSON object per line on standard error")
    .action(async (flags: TrainFlags) => {
      if (flags.width !== undefined && flags.studentOf === undefined)
        throw new RoostError(
          "BAD_ARGUMENT",
          "--width needs --student-of: the teacher whose width it is a share of",
        );
      if (!existsSync(flags.data))
        throw new RoostError("BAD_DATASET", `${flags.data} does not exist`);
      const offset = readManifest(flags.data).utc_offset_hours;
      const interruption = interrupted(flags.checkpoint);
      if (flags.compareLearning) {
        await learning(flags, offset, interruption.signal).finally(interruption.release);
        return;
      }
      const report = await trainRankers({
        data: flags.data,
        out: flags.out ?? join(flags.data, "models"),
        ...(flags.rankers === undefined ? {} : { rankers: flags.rankers }),
        ...(flags.trainUntil === undefined
          ? {}
          : { trainUntilMs: moment(flags.trainUntil, "end", offset) }),
        ...(flags.validateUntil === undefined
          ? {}
          : { validateUntilMs: moment(flags.validateUntil, "end", offset) }),
        ...(flags.since === undefined ? {} : { sinceMs: sinceMoment(flags.since, offset) }),
        ...(flags.from === undefined ? {} : { from: flags.from }),
        ...(flags.studentOf === undefined
          ? {}
          : {
              student: {
                of: flags.studentOf,
                ...(flags.width === undefined ? {} : { width: flags.width }),
              },
            }),
        ...(flags.viewerRates === undefined ? {} : { viewerRates: flags.viewerRates }),
        ...(flags.positionWeights === undefined ? {} : { positionWeights: true }),
        seed: flags.seed,
        threads: flags.threads,
        options: {
          engine: flags.engine,
          heavy: { members: flags.members },
          ...(flags.rareNegatives !== undefined && { fit: { rareNegatives: flags.rareNegatives } }),
        },
        ...(flags.passes === undefined
          ? {}
          : { towers: { passes: flags.passes, maxSteps: Number.MAX_SAFE_INTEGER } }),
        ...(flags.curve === undefined ? {} : { curveDays: flags.curve }),
        metricRounds: flags.metricRounds,
        ...(flags.promote === undefined ? {} : { promote: flags.promote }),
        command: ["roost", ...process.argv.slice(2)],
        nowMs: Date.now(),
        signal: interruption.signal,
        ...(flags.checkpoint === undefined ? {} : { checkpointDir: flags.checkpoint }),
        onProgress: (step, share) => {
          if (flags.progressJson) process.stderr.write(`${JSON.stringify({ step, share })}\n`);
        },
      }).finally(interruption.release);
      process.stdout.write(
        flags.json ? `${JSON.stringify(report, null, 2)}\n` : trainReportText(report),
      );
      // What was asked for did not happen, though the versions are published.
      if (Object.values(report.promotions).some(({ refused }) => refused !== undefined))
        process.exitCode = 1;
    });
}

async function learning(flags: TrainFlags, offset: number, signal: AbortSignal): Promise<void> {
  if (flags.since === undefined)
    throw new RoostError(
      "BAD_ARGUMENT",
      "--compare-learning needs --since: when the model freezes",
    );
  if (flags.rareNegatives !== undefined)
    throw new RoostError(
      "BAD_ARGUMENT",
      "--compare-learning has no --rare-negatives: leave it out",
    );
  if (flags.studentOf !== undefined)
    throw new RoostError(
      "BAD_ARGUMENT",
      "--compare-learning trains no student: leave out --student-of",
    );
  const reports: Record<string, LearningReport> = {};
  for (const kind of comparable(flags.rankers ?? RANKERS))
    reports[kind] = await compareLearning({
      data: flags.data,
      kind,
      sinceMs: sinceMoment(flags.since, offset),
      ...(flags.validateUntil === undefined
        ? {}
        : { untilMs: moment(flags.validateUntil, "end", offset) }),
      seed: flags.seed,
      threads: flags.threads,
      options: { engine: flags.engine },
      rounds: flags.metricRounds,
      signal,
      onProgress: (share) => {
        if (flags.progressJson) process.stderr.write(`${JSON.stringify({ step: kind, share })}\n`);
      },
    });
  process.stdout.write(
    flags.json ? `${JSON.stringify(reports, null, 2)}\n` : learningTables(reports),
  );
}

/** @throws BAD_ARGUMENT when retrieval is asked for, which does not go on from a version */
function comparable(kinds: readonly TrainedStage[]): RankerKind[] {
  return kinds.map((kind) => {
    if (kind === TWO_TOWER) throw noWarmStart();
    return kind;
  });
}

/** Aborts at SIGINT or SIGTERM. The second signal ends the process as it would have without us. */
function interrupted(checkpoint: string | undefined): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const release = (): void => {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, stop);
  };
  function stop(name: NodeJS.Signals): void {
    release();
    const kept = checkpoint === undefined ? "nothing is kept of it" : `it is kept in ${checkpoint}`;
    controller.abort(new RoostError("INTERRUPTED", `${name} ended the training, ${kept}`));
  }
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, stop);
  return { signal: controller.signal, release };
}
