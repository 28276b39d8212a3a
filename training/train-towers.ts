import type { DatasetManifest } from "../datasets/dataset.ts";
import { RoostError } from "../errors.ts";
import type { BundleManifest } from "../features/bundle.ts";
import type { TrainingRows } from "../features/rows.ts";
import type { TowerLog } from "./tower-log.ts";
import type { TrainRequest } from "./train-rankers.ts";
import { publishTowers } from "./trainers/publish-towers.ts";
import { towerMetrics } from "./trainers/tower-metrics.ts";
import { trainTwoTower } from "./trainers/train-two-tower.ts";

/** The stage of retrieval: two towers of one training. */
export const TWO_TOWER = "two_tower";
/** Posts by lot that each request's viewer is compared with. */
export const NEGATIVES_PER_REQUEST = 8;

export const noWarmStart = (): RoostError =>
  new RoostError(
    "BAD_ARGUMENT",
    "two_tower does not go on from a version: train it without --since",
  );

/** Trains both towers on the rows before `untilMs`, measures them on the rest and publishes them. */
export async function trainTowers(
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
