import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { type DatasetManifest, readManifest } from "../../datasets/dataset.ts";
import { datasetSplit, moment } from "../../datasets/split.ts";
import { RoostError } from "../../errors.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import { schemaHash } from "../../features/registry.ts";
import { rowsBetween } from "../../features/replay.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { datasetRows, usableFeatures } from "../dataset-rows.ts";
import { HEAVY_FEATURES, HEAVY_IDS, LIGHT_FEATURES, PAST_RATE_FEATURES } from "../feature-sets.ts";
import { TowerLog } from "../tower-log.ts";
import { publishTowers } from "../trainers/publish-towers.ts";
import type { RankerOptions } from "../trainers/ranker-options.ts";
import { towerMetrics } from "../trainers/tower-metrics.ts";
import { trainRanker } from "../trainers/train-ranker.ts";
import { trainTwoTower } from "../trainers/train-two-tower.ts";
import type { RankerKind } from "../trainers/trained-model.ts";

const RANKERS = ["light", "heavy", "past_rates"] as const satisfies readonly RankerKind[];
/** Retrieval: two bundles, `user_tower` and `post_tower`. */
const TWO_TOWER = "two_tower";
export const MODELS = [...RANKERS, TWO_TOWER] as const;
export type ModelKind = (typeof MODELS)[number];

/** Posts by lot that each request's viewer is compared with. */
const NEGATIVES_PER_REQUEST = 8;

export interface TrainRequest {
  readonly data: string;
  /** Bundles go to `<out>/<kind>`. */
  readonly out: string;
  readonly rankers: readonly ModelKind[];
  /** First moment that is not trained on; from there to `validateUntilMs` is validation. */
  readonly trainUntilMs?: number;
  readonly validateUntilMs?: number;
  readonly seed: number;
  readonly threads: number;
  readonly options?: RankerOptions;
  readonly metricRounds?: number;
  /** A step's name and the share of it that is done. */
  readonly onProgress?: (step: string, share: number) => void;
  readonly signal?: AbortSignal;
}

export interface TrainReport {
  readonly rows: { readonly train: number; readonly validation: number };
  readonly useless_features: readonly string[];
  readonly bundles: Readonly<Record<string, BundleManifest>>;
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

  const towerLog = request.rankers.includes(TWO_TOWER)
    ? new TowerLog({ negativesPerRequest: NEGATIVES_PER_REQUEST, seed: request.seed })
    : undefined;
  const all = await timed("features", () =>
    datasetRows(request.data, manifest, {
      features: HEAVY_FEATURES,
      ids: HEAVY_IDS,
      toMs: validation.toMs,
      ...(towerLog && { towerLog }),
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
  for (const kind of request.rankers) {
    if (kind !== TWO_TOWER)
      bundles[kind] = await timed(kind, () => trainOne(request, manifest, kind, rows, usable));
    else if (towerLog)
      await timed(kind, async () =>
        Object.assign(bundles, await trainTowers(request, manifest, all, towerLog, learned.toMs)),
      );
  }
  return {
    rows: { train: rows.train.n, validation: rows.validation.n },
    useless_features: useless,
    bundles,
    seconds,
  };
}

async function trainOne(
  request: TrainRequest,
  manifest: DatasetManifest,
  kind: RankerKind,
  rows: { train: TrainingRows; validation: TrainingRows },
  usable: readonly string[],
): Promise<BundleManifest> {
  const wanted =
    kind === "heavy" ? HEAVY_FEATURES : kind === "light" ? LIGHT_FEATURES : PAST_RATE_FEATURES;
  const known = new Set(usable);
  const featureSubset = wanted.filter((name) => known.has(name));
  const model = await trainRanker({
    kind,
    ...rows,
    featureSubset,
    seed: request.seed,
    threads: request.threads,
    ...(request.options === undefined ? {} : { options: request.options }),
    ...(request.metricRounds === undefined ? {} : { metricRounds: request.metricRounds }),
    ...(request.signal === undefined ? {} : { signal: request.signal }),
    onProgress: ({ step, steps }) => request.onProgress?.(kind, step / steps),
  });
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

async function trainTowers(
  request: TrainRequest,
  manifest: DatasetManifest,
  rows: TrainingRows,
  log: TowerLog,
  untilMs: number,
): Promise<Record<string, BundleManifest>> {
  const { seed, threads, signal, options } = request;
  let to = 0;
  while (to < rows.n && (rows.timeMs[to] as number) < untilMs) to++;
  const towers = await trainTwoTower({
    rows,
    log,
    from: 0,
    to,
    seed,
    threads,
    options: options?.engine === undefined ? {} : { engine: options.engine },
    ...(signal === undefined ? {} : { signal }),
    onProgress: ({ step, steps }) => request.onProgress?.(TWO_TOWER, step / steps),
  });
  const rounds = request.metricRounds ?? 200;
  return publishTowers(request.out, towers, {
    source: `${manifest.source} ${manifest.checksum.slice(0, 16)}`,
    fromMs: rows.timeMs[0] as number,
    toMs: rows.timeMs[to - 1] as number,
    rows: to,
    seed,
    metrics:
      rounds === 0
        ? undefined
        : await towerMetrics(towers, rows, log, to, rows.n, { seed, rounds }),
  });
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError("must be a whole number");
  return value;
}

function rankerList(text: string): ModelKind[] {
  const kinds = text.split(",").map((kind) => kind.trim());
  for (const kind of kinds)
    if (!(MODELS as readonly string[]).includes(kind))
      throw new InvalidArgumentError(`must be some of ${MODELS.join(",")}`);
  return kinds as ModelKind[];
}

interface TrainFlags {
  data: string;
  out?: string;
  trainUntil?: string;
  validateUntil?: string;
  rankers: ModelKind[];
  seed: number;
  threads: number;
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
    .option("--rankers <list>", `some of ${MODELS.join(",")}`, rankerList, [...MODELS])
    .option("--seed <n>", "seed of initial weights and row order", wholeNumber, 1)
    .option("--threads <n>", "threads of the training runtime", wholeNumber, 2)
    .option("--engine <name>", "onnx or tfjs", "onnx")
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
        seed: flags.seed,
        threads: flags.threads,
        options: { engine: flags.engine },
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
    const took = report.seconds[kind.endsWith("_tower") ? TWO_TOWER : kind]?.toFixed(1);
    lines.push(`\n${kind} ${bundle.version}: ${bundle.parameters} parameters, ${took} s`);
    for (const [head, metrics] of Object.entries(bundle.metrics)) {
      const cells = Object.entries(metrics).map(
        ([name, { value, low, high }]) =>
          `${name} ${value.toFixed(4)} (${low.toFixed(4)}–${high.toFixed(4)})`,
      );
      lines.push(`  ${head.padEnd(26)}${cells.join("  ")}`);
    }
  }
  return `${lines.join("\n")}\n`;
}
