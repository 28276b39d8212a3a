import { rowsBetween } from "../../features/replay.ts";
import type { TrainingRows } from "../../features/rows.ts";
import type { HeadMetrics } from "./head-metrics.ts";
import { type TrainRankerRequest, trainRanker } from "./train-ranker.ts";

const DAY_MS = 86_400_000;

/** What a ranker reaches that learned from the newest days only. */
export interface CurvePoint {
  /** Days before the training rows end; more than there are mean all. */
  readonly days: number;
  readonly rows: number;
  /** On the validation rows. */
  readonly metrics: HeadMetrics;
}

/**
 * Trains the same ranker on the last days of the training rows, as many as each of `days` says, and validates all on the
 * same rows: what more data is worth.
 * @param endMs where the training rows end
 * @throws BAD_DATASET when there is no row within the fewest days
 */
export async function learningCurve(
  request: TrainRankerRequest,
  endMs: number,
  days: readonly number[],
): Promise<CurvePoint[]> {
  const points: CurvePoint[] = [];
  for (const count of days) {
    const train: TrainingRows = rowsBetween(request.train, endMs - count * DAY_MS, endMs);
    const model = await trainRanker({ ...request, train });
    points.push({ days: count, rows: train.n, metrics: model.parts.metrics });
    await model.close();
  }
  return points;
}
