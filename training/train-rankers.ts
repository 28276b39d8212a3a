import { join } from "node:path";
import { type DatasetManifest, readManifest } from "../datasets/dataset.ts";
import { datasetSplit, type TimeSplit, warmSplit } from "../datasets/split.ts";
import { RoostError } from "../errors.ts";
import type { BundleManifest } from "../features/bundle.ts";
import { adoptUnversioned } from "../features/models/champion.ts";
import { publishVersion } from "../features/models/versions.ts";
import { FEATURE_NAMES, schemaHash } from "../features/registry.ts";
import { rowsBetween } from "../features/replay.ts";
import type { TrainingRows } from "../features/rows.ts";
import { TWO_TOWER } from "../features/tower-bundle.ts";
import { towerSchemaHash } from "../features/tower-inputs.ts";
import { datasetRows, usableFeatures } from "./dataset-rows.ts";
import { HEAVY_IDS, type ViewerRates } from "./feature-sets.ts";
import { finishedRankers } from "./finished-rankers.ts";
import { rankerFeatures } from "./ranker-features.ts";
import { heavyTeacher } from "./registry/heavy-teacher.ts";
import {
  promoteTrained,
  type TrainedPromotion,
  usableChampion,
} from "./registry/promote-trained.ts";
import {
  askedTeacher,
  checkStudent,
  type StudentRequest,
  studentLayers,
} from "./registry/student-of.ts";
import { warmSource } from "./registry/warm-source.ts";
import type { TowerLog } from "./tower-log.ts";
import { noWarmStart, towerLog, trainTowers } from "./train-towers.ts";
import { TEACHER_SHARE, type Teacher } from "./trainers/distillation.ts";
import { type CurvePoint, learningCurve } from "./trainers/learning-curve.ts";
import { positionWeighted } from "./trainers/position-weights.ts";
import type { RankerOptions } from "./trainers/ranker-options.ts";
import { type TrainRankerRequest, trainRanker } from "./trainers/train-ranker.ts";
import type { RankerKind } from "./trainers/trained-model.ts";
import type { TwoTowerOptions } from "./trainers/two-tower-options.ts";

export const RANKERS = ["light", "heavy", "past_rates"] as const satisfies readonly RankerKind[];
/** All that is trained. */
export const STAGES = [...RANKERS, TWO_TOWER] as const;
export type TrainedStage = (typeof STAGES)[number];
/** The heavy ranker teaches the light one and the towers. */
const IN_ORDER: readonly TrainedStage[] = ["heavy", "light", "past_rates", TWO_TOWER];

export interface TrainRequest {
  readonly data: string;
  /** Versions go to `<out>/<kind>/versions`. */
  readonly out: string;
  /** Default: all rankers, and retrieval where the log has what it needs; see `suiting`. */
  readonly rankers?: readonly TrainedStage[];
  /** First moment that is not trained on; from there to `validateUntilMs` is validation. */
  readonly trainUntilMs?: number;
  readonly validateUntilMs?: number;
  /** Goes on from a published version on the rows from here on; validation is then their last day. */
  readonly sinceMs?: number;
  /** The version that a warm start goes on from: first digits or an alias. Default `champion`. */
  readonly from?: string;
  /** Makes the light and the heavy ranker students of a published heavy one. */
  readonly student?: StudentRequest;
  /** How the heavy ranker reads a viewer's own rates; as the data set says by default. */
  readonly viewerRates?: ViewerRates;
  /** Weighs training rows by how seldom their position is looked at; see `positionWeighted`. Default false. */
  readonly positionWeights?: boolean;
  readonly seed: number;
  readonly threads: number;
  readonly options?: RankerOptions;
  readonly towers?: TwoTowerOptions;
  /** Trains the heavy ranker again on the last so many days each. */
  readonly curveDays?: readonly number[];
  readonly metricRounds?: number;
  /** Makes what was trained champion where it passes the gate. A stage without a usable champion gets it in any case. */
  readonly promote?: boolean;
  /** What was run, for the lineage. */
  readonly command: readonly string[];
  readonly nowMs: number;
  /** A step's name and the share of it that is done. */
  readonly onProgress?: (step: string, share: number) => void;
  /** Stops between two steps or rankers, never while one is published; its reason is thrown. */
  readonly signal?: AbortSignal;
  /** Directory of what an interrupted training goes on from; emptied when all is published. */
  readonly checkpointDir?: string;
}

export interface TrainReport {
  readonly rows: { readonly train: number; readonly validation: number };
  readonly useless_features: readonly string[];
  readonly bundles: Readonly<Record<string, BundleManifest>>;
  readonly promotions: Readonly<Record<string, TrainedPromotion>>;
  /** What the heavy ranker reaches with fewer days; empty unless asked for. */
  readonly curve: readonly CurvePoint[];
  readonly seconds: Readonly<Record<string, number>>;
}

/** Replays a data set into rows, trains the asked rankers on the earlier and validates on the later ones, publishes. */
export async function trainRankers(request: TrainRequest): Promise<TrainReport> {
  const manifest = readManifest(request.data);
  const { train: learned, validation } = splitOf(manifest, request);
  const progress = request.onProgress ?? (() => {});
  const seconds: Record<string, number> = {};
  const timed = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    const result = await work();
    seconds[step] = (performance.now() - startedAt) / 1000;
    return result;
  };

  const asked = request.rankers ?? (request.student ? ["heavy"] : suiting(manifest, request));
  const { student } = request;
  if (student) checkStudent({ ...request, student }, asked);
  const stages = IN_ORDER.filter((stage) => asked.includes(stage));
  if (request.sinceMs !== undefined && stages.includes(TWO_TOWER)) throw noWarmStart();
  const ranked = { features: FEATURE_NAMES, ids: HEAVY_IDS };
  const log = stages.includes(TWO_TOWER) ? towerLog(ranked) : undefined;
  const all = await timed("features", () =>
    datasetRows(request.data, manifest, {
      ...ranked,
      toMs: validation.toMs,
      ...(log && { towerLog: log }),
      onProgress: (events) => {
        request.signal?.throwIfAborted();
        progress("features", Math.min(1, events / manifest.events));
      },
    }),
  );
  progress("features", 1);
  const learnedRows = rowsBetween(all, learned.fromMs, learned.toMs);
  const rows = {
    // What models are measured and calibrated on stays as it was shown.
    train: request.positionWeights ? positionWeighted(learnedRows) : learnedRows,
    validation: rowsBetween(all, validation.fromMs, validation.toMs),
  };
  const { usable, useless } = usableFeatures(rows.train);

  const finished = request.checkpointDir
    ? finishedRankers(request.checkpointDir, decides(request, manifest, usable, rows))
    : undefined;
  const bundles: Record<string, BundleManifest> = {};
  const promotions: Record<string, TrainedPromotion> = {};
  for (const kind of stages) {
    request.signal?.throwIfAborted();
    bundles[kind] = await timed(kind, async () => {
      const before = await finished?.find(kind, join(request.out, kind));
      if (before !== undefined) {
        progress(kind, 1);
        return before;
      }
      const published =
        kind === TWO_TOWER
          ? await trainPair(
              request,
              manifest,
              { rows: all, log: log as TowerLog },
              learned.toMs,
              bundles.heavy?.version,
            )
          : await trainOne(
              request,
              manifest,
              kind,
              rows,
              usable,
              await teacherOf(request, kind, learned.toMs, bundles.heavy?.version),
            );
      await finished?.note(kind, published);
      return published;
    });
    promotions[kind] = await promoteTrained(
      request,
      join(request.out, kind),
      bundles[kind].version,
      rows.validation,
    );
  }
  const { curveDays = [] } = request;
  const curve = await timed("curve", () =>
    learningCurve(trainerOf(request, manifest, "heavy", rows, usable), learned.toMs, curveDays),
  );
  // Last, so that a run that is stopped in the curve does not train its rankers again.
  await finished?.clear();
  return {
    rows: { train: rows.train.n, validation: rows.validation.n },
    useless_features: useless,
    bundles,
    promotions,
    curve,
    seconds,
  };
}

/**
 * Retrieval learns from posts as they are written, which importers of impressions do not bring, and does not go on from a
 * version.
 */
export function suiting(
  manifest: Pick<DatasetManifest, "source">,
  { sinceMs }: Pick<TrainRequest, "sinceMs">,
): readonly TrainedStage[] {
  return manifest.source === "world" && sinceMs === undefined ? STAGES : RANKERS;
}

function splitOf(manifest: DatasetManifest, request: TrainRequest): TimeSplit {
  const { sinceMs, from } = request;
  if (sinceMs !== undefined) return warmSplit(manifest, { ...request, sinceMs });
  if (from !== undefined)
    throw new RoostError("BAD_ARGUMENT", "--from needs --since: from which day on to train");
  return datasetSplit(manifest, request);
}

/** What decides the bytes of a run's bundles. */
function decides(
  {
    seed,
    options,
    towers,
    metricRounds,
    trainUntilMs,
    validateUntilMs,
    sinceMs,
    from,
    viewerRates,
    positionWeights,
    student,
  }: TrainRequest,
  manifest: DatasetManifest,
  usable: readonly string[],
  rows: { train: TrainingRows; validation: TrainingRows },
): unknown {
  return {
    data: manifest.checksum,
    split: [trainUntilMs, validateUntilMs, rows.train.n, rows.validation.n],
    features: [usable, schemaHash(FEATURE_NAMES, HEAVY_IDS), towerSchemaHash()],
    seed,
    options,
    towers,
    metricRounds,
    viewerRates,
    positionWeights,
    student,
    warm: sinceMs === undefined ? undefined : [sinceMs, from],
  };
}

/** How a ranker of this kind is trained anew. */
function trainerOf(
  request: TrainRequest,
  manifest: DatasetManifest,
  kind: RankerKind,
  rows: { train: TrainingRows; validation: TrainingRows },
  usable: readonly string[],
): TrainRankerRequest & { readonly featureSubset: readonly string[] } {
  const rates = request.viewerRates ?? manifest.viewer_rates ?? "running";
  return {
    kind,
    ...rows,
    featureSubset: rankerFeatures(kind, usable, rates),
    seed: request.seed,
    threads: request.threads,
    ...(request.options === undefined ? {} : { options: request.options }),
    ...(request.metricRounds === undefined ? {} : { metricRounds: request.metricRounds }),
    ...(request.signal === undefined ? {} : { signal: request.signal }),
    onProgress: ({ step, steps }) => request.onProgress?.(kind, step / steps),
  };
}

/** Whom a ranker learns from beside the labels: who was asked for, else a light one from the heavy one. */
async function teacherOf(
  { out, student, sinceMs, options }: TrainRequest,
  kind: RankerKind,
  untilMs: number,
  heavy: string | undefined,
): Promise<Teacher | undefined> {
  if (student) return askedTeacher(out, student);
  // A warm start goes on as it is measured, from labels; rare negatives are left out of labels alone.
  if (kind !== "light" || sinceMs !== undefined || (options?.fit?.rareNegatives ?? 1) < 1)
    return undefined;
  const bundle = await heavyTeacher(join(out, "heavy"), heavy, untilMs);
  return bundle && { bundle, share: TEACHER_SHARE };
}

async function trainOne(
  request: TrainRequest,
  manifest: DatasetManifest,
  kind: RankerKind,
  rows: { train: TrainingRows; validation: TrainingRows },
  usable: readonly string[],
  teacher: Teacher | undefined,
): Promise<BundleManifest> {
  const stageDir = join(request.out, kind);
  await adoptUnversioned(stageDir, request.nowMs);
  const warm =
    request.sinceMs === undefined
      ? undefined
      : await warmSource(request.out, kind, request.from ?? "champion");
  const { student } = request;
  const layers =
    student && teacher && kind === "heavy" ? studentLayers(teacher, student) : undefined;
  const { featureSubset, ...settings } = trainerOf(request, manifest, kind, rows, usable);
  const model = await trainRanker({
    ...settings,
    ...(teacher && { teacher }),
    ...(layers && {
      options: { ...settings.options, heavy: { ...layers, ...settings.options?.heavy } },
    }),
    // A model that training goes on from keeps its features, whatever varies now.
    ...(warm ? { warm } : { featureSubset }),
    ...(request.checkpointDir === undefined
      ? {}
      : { checkpoint: join(request.checkpointDir, `${kind}.checkpoint`) }),
  });
  try {
    const trained = model.manifest({
      schemaHash: schemaHash(
        model.parts.featureNames,
        model.parts.ids.map(({ name }) => name),
      ),
      source: `${manifest.source} ${manifest.checksum.slice(0, 16)}`,
    });
    const lineage = {
      // A teacher of another stage is named in the settings alone: nothing of it is in this version.
      parent:
        warm?.manifest.version ??
        (layers && teacher?.bundle.manifest.version) ??
        (await usableChampion(stageDir)),
      command: [...request.command],
      published_ms: request.nowMs,
    };
    const { onnx, trainingState } = model.parts;
    return await publishVersion(stageDir, onnx, trained, lineage, {
      ...(trainingState && { trainingState }),
    });
  } finally {
    await model.close();
    request.onProgress?.(kind, 1);
  }
}

async function trainPair(
  request: TrainRequest,
  manifest: DatasetManifest,
  noted: { readonly rows: TrainingRows; readonly log: TowerLog },
  untilMs: number,
  heavy: string | undefined,
): Promise<BundleManifest> {
  const { seed, threads, signal, options, metricRounds = 200, command, nowMs } = request;
  const stageDir = join(request.out, TWO_TOWER);
  try {
    const teacher = await heavyTeacher(join(request.out, "heavy"), heavy, untilMs);
    return await trainTowers(manifest, {
      stageDir,
      ...noted,
      ...(teacher && { teacher }),
      untilMs,
      seed,
      threads,
      options: { ...(options?.engine && { engine: options.engine }), ...request.towers },
      metricRounds,
      lineage: {
        parent: await usableChampion(stageDir),
        command: [...command],
        published_ms: nowMs,
      },
      ...(signal && { signal }),
      onProgress: (share) => request.onProgress?.(TWO_TOWER, share),
    });
  } finally {
    request.onProgress?.(TWO_TOWER, 1);
  }
}
