import { type DatasetManifest, readDataset } from "../../datasets/dataset.ts";
import type { Event, EventOf } from "../../datasets/events.ts";
import { RowTruth } from "../../datasets/world/row-truth.ts";
import { ViewerHistory } from "../../datasets/world/viewer-history.ts";
import type { World } from "../../datasets/world/world.ts";
import { FEATURE_NAMES, ID_COLUMNS } from "../../features/registry.ts";
import { Replay } from "../../features/replay.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { BroadcastState } from "../state/live-state.ts";

/** The state of everything at one moment of a walk through the log: what a server would know then. */
export interface Moment {
  readonly replay: Replay;
  readonly broadcast: BroadcastState;
  readonly viewers: ViewerHistory;
}

export interface HeldOutRange {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface HeldOut {
  readonly rows: TrainingRows;
  /** True probabilities (seconds for amounts) of the rows' heads [n, heads]; only where the truth is known. */
  readonly truth: Float32Array | undefined;
}

/**
 * Walks a data set to the end of `range`, making rows of the impressions in it. Before an impression in the range is
 * applied, `onImpression` may look at the moment: nothing of that millisecond is known yet.
 * @param onEvent told of every event when it has been applied
 * @param world when given, the truth of every row is asked of it
 */
export async function walkHeldOut(
  dir: string,
  manifest: DatasetManifest,
  range: HeldOutRange,
  world: World | undefined,
  onImpression: (event: EventOf<"impression">, moment: Moment) => Promise<void> | undefined,
  onProgress: (events: number) => void,
  onEvent: (event: Event) => void = () => {},
): Promise<HeldOut> {
  const replay = new Replay({
    features: FEATURE_NAMES,
    ids: ID_COLUMNS,
    heads: manifest.heads,
    ...range,
  });
  const viewers = new ViewerHistory();
  const moment = { replay, broadcast: new BroadcastState(), viewers };
  const truth = world === undefined ? undefined : new RowTruth(world, range, viewers);
  let events = 0;
  for await (const batch of readDataset(dir, { heldOut: true })) {
    for (const event of batch) {
      if (
        event.type === "impression" &&
        event.time_ms >= range.fromMs &&
        event.time_ms < range.toMs
      )
        await onImpression(event, moment);
      replay.push(event);
      moment.broadcast.apply(event);
      truth?.observe(event);
      onEvent(event);
    }
    events += batch.length;
    onProgress(events);
  }
  replay.settle();
  return { rows: replay.rows(), truth: truth?.values() };
}
