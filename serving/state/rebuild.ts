import { type LogPlaces, readLog } from "../../datasets/log/reader.ts";
import { applyEvent } from "../../features/engine.ts";
import type { Entity } from "../../features/entities.ts";
import { MemoryState } from "../../features/memory-store.ts";
import { BroadcastState } from "./live-state.ts";
import type { PostCounts } from "./post-counts.ts";

/** A feature store that can be filled at once. */
export interface FillableFeatures {
  replaceAll(
    position: number,
    entries: Iterable<readonly [Entity, string, Float64Array]>,
  ): Promise<void>;
}

/** Parts to be built anew from a whole log. */
export interface Rebuilt {
  readonly features?: FillableFeatures;
  readonly counts?: PostCounts;
}

/**
 * Builds state from the whole log and stores it: what a first start does once, and the way back from lost or foreign
 * state. In the order of arrival, in which consumers had the records, so that what is built is what there was.
 * @returns the broadcast state as it is then
 */
export async function rebuild(
  places: LogPlaces,
  { features, counts }: Rebuilt,
  onProgress: (events: number) => void = () => {},
): Promise<BroadcastState> {
  const broadcast = new BroadcastState();
  const state = new MemoryState();
  await counts?.clear();
  let position = 0;
  let events = 0;
  for await (const batch of readLog(places, { order: "seq" })) {
    for (const event of batch) {
      if (features !== undefined) applyEvent(state, event);
      broadcast.apply(event);
      if (event.seq > position) position = event.seq;
    }
    await counts?.add(batch);
    events += batch.length;
    onProgress(events);
  }
  broadcast.position = position;
  await features?.replaceAll(position, state.entries());
  await counts?.finish(position);
  return broadcast;
}
