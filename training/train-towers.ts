import { type DatasetManifest, readManifest } from "../datasets/dataset.ts";
import { datasetSplit } from "../datasets/split.ts";
import { RoostError } from "../errors.ts";
import type { BundleManifest } from "../features/bundle.ts";
import type { Lineage } from "../features/models/versions.ts";
import { rowsBetween } from "../features/replay.ts";
import type { TrainingRows } from "../features/rows.ts";
import { datasetRows } from "./dataset-rows.ts";
import type { PredictingBundle } from "./registry/bundle-predictions.ts";
import { measuredRows } from "./registry/measured-rows.ts";
import { TowerLog, type TowerLogOptions } from "./tower-log.ts";
import { publishTowers } from "./trainers/publish-towers.ts";
import { rankerWorth } from "./trainers/ranker-worth.ts";
import { drawLists, type TowerLists, teachLists } from "./trainers/tower-lists.ts";
import { towerMetrics, towerWins } from "./trainers/tower-wins.ts";
import { trainTwoTower } from "./trainers/train-two-tower.ts";
import { TwoTowerOptions } from "./trainers/two-tower-options.ts";

/** Posts by lot that each request's viewer is compared with: fewer teach less, more cost memory. */
const LOTS_PER_REQUEST = 12;
/** How many of them are posts that viewers act on, where a ranker can say what they are worth to this one. */
const ENGAGED_PER_REQUEST = 8;
/** The posts by lot are the same for every seed of training, so that towers are measured on the same pairs. */
const LOTS_SEED = 1;

/** @param ranked what rankers read of the posts by lot; without it no ranker can teach */
export const towerLog = (ranked: Pick<TowerLogOptions, "features" | "ids"> = {}): TowerLog =>
  new TowerLog({
    lotsPerRequest: LOTS_PER_REQUEST,
    ...(ranked.features && { engagedPerRequest: ENGAGED_PER_REQUEST }),
    seed: LOTS_SEED,
    ...ranked,
  });

export const noWarmStart = (): RoostError =>
  new RoostError(
    "BAD_ARGUMENT",
    "two_tower does not go on from a version: train it without --since, or name others with --rankers",
  );

export interface TrainTowersRequest {
  readonly stageDir: string;
  /** Rows of the whole log and what was noted with them, one for one. */
  readonly rows: TrainingRows;
  readonly log: TowerLog;
  /** Rows before it are trained on, those from there on measure. */
  readonly untilMs: number;
  readonly seed: number;
  readonly threads: number;
  readonly options: TwoTowerOptions;
  /** The ranker that says what posts are worth. Without one the towers learn from what was welcomed alone. */
  readonly teacher?: PredictingBundle & { readonly manifest: Pick<BundleManifest, "version"> };
  /** Resamples of the metric; 0 = it is not measured. */
  readonly metricRounds: number;
  readonly lineage: Pick<Lineage, "parent" | "command" | "published_ms">;
  readonly onProgress?: (share: number) => void;
  readonly signal?: AbortSignal;
}

/** Trains both towers, measures them on the later rows and publishes them as one version. */
export async function trainTowers(
  manifest: DatasetManifest,
  request: TrainTowersRequest,
): Promise<BundleManifest> {
  const { rows, log, seed, metricRounds: rounds } = request;
  const to = firstFrom(rows, request.untilMs);
  const lists = await taught(request, to);
  request.signal?.throwIfAborted();
  const towers = await trainTwoTower({
    rows,
    log,
    from: 0,
    to,
    seed,
    ...(lists && { lists }),
    threads: request.threads,
    options: request.options,
    ...(request.signal === undefined ? {} : { signal: request.signal }),
    onProgress: ({ step, steps }) => request.onProgress?.(step / steps),
  });
  const models = { ...towers, buckets: towers.settings.buckets };
  const measured =
    rounds === 0 || to === rows.n
      ? { metrics: {} }
      : {
          metrics: towerMetrics(await towerWins(models, rows, log, to, rows.n), { seed, rounds }),
          validation: measuredRows(rowsBetween(rows, request.untilMs, Number.POSITIVE_INFINITY)),
        };
  return publishTowers(
    request.stageDir,
    towers,
    {
      source: `${manifest.source} ${manifest.checksum.slice(0, 16)}`,
      fromMs: rows.timeMs[0] as number,
      toMs: rows.timeMs[to - 1] as number,
      rows: to,
      seed,
      ...(request.teacher && { teacher: request.teacher.manifest.version }),
      ...measured,
    },
    request.lineage,
  );
}

/** The lists of rows [0, to) with what the teacher says of them. */
async function taught(
  { rows, log, seed, teacher, options, threads }: TrainTowersRequest,
  to: number,
): Promise<TowerLists | undefined> {
  if (teacher === undefined) return undefined;
  const { listShown, sharpness } = TwoTowerOptions.parse(options);
  const lists = drawLists(rows, log, 0, to, listShown, seed);
  return teachLists(lists, await rankerWorth(teacher, rows, log, lists, threads), sharpness);
}

/** Rows of a data set to measure towers on, with what they read; see `validationRows`. */
export async function towerValidation(
  data: string,
  measured?: BundleManifest["validation"],
): Promise<{ rows: TrainingRows; log: TowerLog }> {
  const manifest = readManifest(data);
  const range =
    measured === undefined
      ? datasetSplit(manifest).validation
      : { fromMs: measured.from_ms, toMs: measured.to_ms + 1 };
  const log = towerLog();
  const rows = await datasetRows(data, manifest, {
    features: [],
    ids: [],
    ...range,
    towerLog: log,
  });
  return { rows, log };
}

/** The first row from `ms` on. */
function firstFrom(rows: TrainingRows, ms: number): number {
  let row = 0;
  while (row < rows.n && (rows.timeMs[row] as number) < ms) row++;
  return row;
}
