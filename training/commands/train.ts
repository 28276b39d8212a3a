import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { type DatasetManifest, readManifest } from "../../datasets/dataset.ts";
import { datasetSplit, moment } from "../../datasets/split.ts";
import { RoostError } from "../../errors.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import { FEATURE_NAMES, schemaHash } from "../../features/registry.ts";
import { rowsBetween } from "../../features/replay.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { datasetRows, usableFeatures } from "../dataset-rows.ts";
import {
  HEAVY_IDS,
  heavyFeatures,
  LIGHT_FEATURES,
  PAST_RATE_FEATURES,
  type ViewerRates,
} from "../feature-sets.ts";
import { type CurvePoint, learningCurve } from "../trainers/learning-curve.ts";
import type { RankerOptions } from "../trainers/ranker-options.ts";
import { type TrainRankerRequest, trainRanker } from "../trainers/train-ranker.ts";
import type { RankerKind } from "../trainers/trained-model.ts";

export const RANKERS = ["light", "heavy", "past_rates"] as const satisfies readonly RankerKind[];

export interface TrainRequest {
  readonly data: string;
  /** Bundles go to `<out>/<kind>`. */
  readonly out: string;
  readonly rankers: readonly RankerKind[];
  /** First moment that is not trained on; from there to `validateUntilMs` is validation. */
  readonly trainUntilMs?: number;
  readonly validateUntilMs?: number;
  /** How the heavy ranker reads a viewer's own rates; as the data set says by default. */
  readonly viewerRates?: ViewerRates;
  readonly seed: number;
  readonly threads: number;
  readonly options?: RankerOptions;
  /** Trains the heavy ranker again on the last so many days each. */
  readonly curveDays?: readonly number[];
  readonly metricRounds?: number;
  /** A step's name and the share of it that is done. */
  readonly onProgress?: (step: string, share: number) => void;
  readonly signal?: AbortSignal;
}

export interface TrainReport {
  readonly rows: { readonly train: number; readonly validation: number };
  readonly useless_features: readonly string[];
  readonly bundles: Readonly<Record<string, BundleManifest>>;
  /** What the heavy ranker reaches with fewer days; empty unless asked for. */
  readonly curve: readonly CurvePoint[];
  readonly seconds: Readonly<Record<string, number>>;
}

/** Replays a data set into rows, trains the asked rankers on the earlier and validates on the later ones, publishes. */
export async function train(request: TrainRequest): Promise<TrainReport> {
  const manifest = readManifest(request.data);
  const { train: learned, validation } = datasetSplit(manifest, request);
  const progress = request.onProgress ?? (() => {});
  const seconds: Record<string, number> = {};
  const timed = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    const result = await work();
    seconds[step] = (performance.now() - startedAt) / 1000;
    return result;
  };

  const all = await timed("features", () =>
    datasetRows(request.data, manifest, {
      features: FEATURE_NAMES,
      ids: HEAVY_IDS,
      toMs: validation.toMs,
      onProgress: (events) => progress("features", Math.min(1, events / manifest.events)),
    }),
  );
  progress("features", 1);
  const rows = {
    train: rowsBetween(all, learned.fromMs, learned.toMs),
    validation: rowsBetween(all, validation.fromMs, validation.toMs),
  };
  const { usable, useless } = usableFeatures(rows.train);

  const bundles: Record<string, BundleManifest> = {};
  for (const kind of request.rankers)
    bundles[kind] = await timed(kind, () => trainOne(request, manifest, kind, rows, usable));
  const { curveDays = [] } = request;
  const curve = await timed("curve", () =>
    learningCurve(trainerOf(request, manifest, "heavy", rows, usable), learned.toMs, curveDays),
  );
  return {
    rows: { train: rows.train.n, validation: rows.validation.n },
    useless_features: useless,
    bundles,
    curve,
    seconds,
  };
}

function trainerOf(
  request: TrainRequest,
  manifest: DatasetManifest,
  kind: RankerKind,
  rows: { train: TrainingRows; validation: TrainingRows },
  usable: readonly string[],
): TrainRankerRequest {
  const rates = request.viewerRates ?? manifest.viewer_rates ?? "running";
  const wanted =
    kind === "heavy"
      ? heavyFeatures(rates)
      : kind === "light"
        ? LIGHT_FEATURES
        : PAST_RATE_FEATURES;
  const known = new Set(usable);
  const featureSubset = wanted.filter((name) => known.has(name));
  return {
    kind,
    ...rows,
    featureSubset,
    seed: request.seed,
    threads: request.threads,
    ...(request.options === undefined ? {} : { options: request.options }),
    ...(request.metricRounds === undefined ? {} : { metricRounds: request.metricRounds }),
    ...(request.signal === undefined ? {} : { signal: request.signal }),
    onProgress: ({ step, steps }) => request.onProgress?.(kind, step / steps),
  };
}

async function trainOne(
  request: TrainRequest,
  manifest: DatasetManifest,
  kind: RankerKind,
  rows: { train: TrainingRows; validation: TrainingRows },
  usable: readonly string[],
): Promise<BundleManifest> {
  const model = await trainRanker(trainerOf(request, manifest, kind, rows, usable));
  try {
    return await model.publish(join(request.out, kind), {
      schemaHash: schemaHash(
        model.parts.featureNames,
        model.parts.ids.map(({ name }) => name),
      ),
      source: `${manifest.source} ${manifest.checksum.slice(0, 16)}`,
    });
  } finally {
    await model.close();
    request.onProgress?.(kind, 1);
  }
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError("must be a whole number");
  return value;
}

function dayList(text: string): number[] {
  const days = text.split(",").map(Number);
  if (!days.every((count) => count > 0 && Number.isFinite(count)))
    throw new InvalidArgumentError("must be numbers of days, like 1,2,4,7");
  return days;
}

function rankerList(text: string): RankerKind[] {
  const kinds = text.split(",").map((kind) => kind.trim());
  for (const kind of kinds)
    if (!(RANKERS as readonly string[]).includes(kind))
      throw new InvalidArgumentError(`must be some of ${RANKERS.join(",")}`);
  return kinds as RankerKind[];
}

interface TrainFlags {
  data: string;
  out?: string;
  trainUntil?: string;
  validateUntil?: string;
  rankers: RankerKind[];
  viewerRates?: ViewerRates;
  seed: number;
  threads: number;
  members: number;
  curve?: number[];
  engine: "onnx" | "tfjs";
  metricRounds: number;
  json?: boolean;
  progressJson?: boolean;
}

export function trainCommand(): Command {
  return new Command("train")
    .description("train rankers on a data set and publish their bundles")
    .requiredOption("--data <dir>", "directory that roost simulate or roost import wrote")
    .option("--out <dir>", "where the bundles go; <data>/models when not given")
    .option("--train-until <date>", "last day (its end) to train on, or a moment")
    .option("--validate-until <date>", "last day (its end) to validate on, or a moment")
    .option("--rankers <list>", `some of ${RANKERS.join(",")}`, rankerList, [...RANKERS])
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
    .option("--curve <days>", "also train heavy on the last 1,2,4 … days each", dayList)
    .option("--metric-rounds <n>", "bootstrap resamples of each metric", wholeNumber, 200)
    .option("--json", "print the report as JSON")
    .option("--progress-json", "print progress as one JSON object per line on standard error")
    .action(async (flags: TrainFlags) => {
      if (!existsSync(flags.data))
        throw new RoostError("BAD_DATASET", `${flags.data} does not exist`);
      const offset = readManifest(flags.data).utc_offset_hours;
      const report = await train({
        data: flags.data,
        out: flags.out ?? join(flags.data, "models"),
        rankers: flags.rankers,
        ...(flags.trainUntil === undefined
          ? {}
          : { trainUntilMs: moment(flags.trainUntil, "end", offset) }),
        ...(flags.validateUntil === undefined
          ? {}
          : { validateUntilMs: moment(flags.validateUntil, "end", offset) }),
        ...(flags.viewerRates === undefined ? {} : { viewerRates: flags.viewerRates }),
        seed: flags.seed,
        threads: flags.threads,
        options: { engine: flags.engine, heavy: { members: flags.members } },
        ...(flags.curve === undefined ? {} : { curveDays: flags.curve }),
        metricRounds: flags.metricRounds,
        onProgress: (step, share) => {
          if (flags.progressJson) process.stderr.write(`${JSON.stringify({ step, share })}\n`);
        },
      });
      process.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : readable(report));
    });
}

function readable(report: TrainReport): string {
  const lines = [`${report.rows.train} training rows, ${report.rows.validation} validation rows`];
  for (const [kind, bundle] of Object.entries(report.bundles)) {
    const took = report.seconds[kind]?.toFixed(1);
    lines.push(`\n${kind} ${bundle.version}: ${bundle.parameters} parameters, ${took} s`);
    for (const [head, metrics] of Object.entries(bundle.metrics)) {
      const cells = Object.entries(metrics).map(
        ([name, { value, low, high }]) =>
          `${name} ${value.toFixed(4)} (${low.toFixed(4)}–${high.toFixed(4)})`,
      );
      lines.push(`  ${head.padEnd(26)}${cells.join("  ")}`);
    }
  }
  for (const { days, rows, metrics } of report.curve) {
    const cells = Object.entries(metrics).flatMap(([head, { auc }]) =>
      auc === undefined
        ? []
        : [`${head} ${auc.value.toFixed(4)} (${auc.low.toFixed(4)}–${auc.high.toFixed(4)})`],
    );
    lines.push(`\nheavy on the last ${days} days, ${rows} rows: AUC ${cells.join("  ")}`);
  }
  return `${lines.join("\n")}\n`;
}
