import { type DatasetManifest, readDataset } from "../datasets/dataset.ts";
import type { IdColumn } from "../features/registry.ts";
import { Replay } from "../features/replay.ts";
import type { TrainingRows } from "../features/rows.ts";
import type { TowerLog } from "./tower-log.ts";

export interface RowsRequest {
  readonly features: readonly string[];
  readonly ids: readonly IdColumn[];
  /** Impressions in [fromMs, toMs) become rows; everything before toMs moves the features. */
  readonly fromMs?: number;
  readonly toMs?: number;
  /** Whether the held-out part is walked too. Default false. */
  readonly heldOut?: boolean;
  /** Notes the inputs of both towers of every row. */
  readonly towerLog?: TowerLog;
  /** Events read so far. */
  readonly onProgress?: (events: number) => void;
}

/** Replays a data set into point-in-time rows with a label per head of its manifest. */
export async function datasetRows(
  dir: string,
  manifest: DatasetManifest,
  request: RowsRequest,
): Promise<TrainingRows> {
  const { fromMs, toMs, heldOut = false, towerLog } = request;
  const replay = new Replay({
    features: request.features,
    ids: request.ids,
    heads: manifest.heads,
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(toMs === undefined ? {} : { toMs }),
    ...(towerLog && { onRow: (_, event, state) => towerLog.row(event, state) }),
  });
  let events = 0;
  // Outcomes after `toMs` still label the rows before it.
  const until = toMs === undefined ? undefined : toMs + LABEL_WAIT_MS;
  for await (const batch of readDataset(dir, {
    heldOut,
    ...(until === undefined ? {} : { toMs: until }),
  })) {
    for (const event of batch) {
      towerLog?.observe(event);
      replay.push(event);
    }
    events += batch.length;
    request.onProgress?.(events);
  }
  replay.settle();
  return replay.rows();
}

/** Outcomes come within minutes; an hour more is ample. */
const LABEL_WAIT_MS = 3_600_000;

/** Features that vary and are present in at least this share of rows carry information; the others are left out. */
const LEAST_PRESENT = 0.001;

/** The features of `rows` that a model can learn from, and those that are constant or nearly always missing. */
export function usableFeatures(rows: TrainingRows): { usable: string[]; useless: string[] } {
  const d = rows.featureNames.length;
  const usable: string[] = [];
  const useless: string[] = [];
  rows.featureNames.forEach((name, f) => {
    let present = 0;
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let at = f; at < rows.n * d; at += d) {
      const value = rows.features[at] as number;
      if (Number.isNaN(value)) continue;
      present++;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    (present >= LEAST_PRESENT * rows.n && high > low ? usable : useless).push(name);
  });
  return { usable, useless };
}
