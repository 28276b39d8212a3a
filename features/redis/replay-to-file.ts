import type { LoggedEvent } from "../../datasets/events.ts";
import type { EventLog } from "../../datasets/log/event-log.ts";
import { readLog } from "../../datasets/log/reader.ts";
import { RoostError } from "../../errors.ts";
import { applyEvent } from "../engine.ts";
import { MemoryState } from "../memory-store.ts";
import { SLOTS } from "../registry.ts";
import type { FeatureKeys } from "./feature-keys.ts";
import { packBatches } from "./packed-batches.ts";
import { unpackValue } from "./packed-value.ts";
import { readStateFile, type StateFacts, type StateFile, writeStateFile } from "./state-file.ts";

export interface ReplayOptions {
  readonly places: { readonly segments: string; readonly log: EventLog };
  readonly keys: FeatureKeys;
  /** Where state is kept while it is made, and then whole. */
  readonly path: string;
  /** What is told of a run that begins: nothing is applied yet. */
  readonly begin: StateFacts;
  /** A file that an earlier run with the same `begin` left. */
  readonly resumed: StateFile | undefined;
  readonly monotonicMs: () => number;
  /** Least time between two saves; they take at most a tenth of the time in any case. */
  readonly saveEveryMs: number;
  /** The work is to end: what is there is saved and the reason thrown. */
  readonly signal: AbortSignal;
  readonly onProgress: (events: number, of: number) => void;
}

const SAVING_SHARE = 0.1;

/**
 * Replays a log up to a fixed record, in the order of arrival as consumers had it, into a file of state. What an earlier run
 * saved is gone on from: a killed run and its next give the same bytes as one that was left alone.
 */
export async function replayToFile(options: ReplayOptions): Promise<StateFile> {
  const { places, keys, path, begin, resumed, monotonicMs, signal, onProgress } = options;
  let { cursor, events } = resumed?.facts ?? begin;
  if (resumed !== undefined && cursor === null) return resumed;
  const state = resumed === undefined ? new MemoryState() : await unpacked(resumed, keys);
  const save = async (at: StateFacts["cursor"]): Promise<void> => {
    let vectors = 0;
    for (const _ of state.entries()) vectors++;
    const { up_to: position } = begin.log;
    const header = { token: 0, position, timeMs: begin.time_ms };
    const facts = { ...begin, cursor: at, events, vectors };
    await writeStateFile(path, facts, packBatches(state.entries(), keys, header));
  };
  let savedMs = monotonicMs();
  let everyMs = options.saveEveryMs;
  const range = { fromSeq: (cursor ?? 0) + 1, toSeq: begin.log.up_to };
  for await (const batch of readLog(places, { order: "seq", ...range })) {
    for (const event of batch) applyEvent(state, event);
    cursor = (batch.at(-1) as LoggedEvent).seq;
    events += batch.length;
    onProgress(events, begin.log.up_to);
    const startedMs = monotonicMs();
    if (!signal.aborted && startedMs - savedMs < everyMs) continue;
    await save(cursor);
    signal.throwIfAborted();
    savedMs = monotonicMs();
    everyMs = Math.max(options.saveEveryMs, (savedMs - startedMs) / SAVING_SHARE);
  }
  await save(null);
  signal.throwIfAborted();
  const file = await readStateFile(path);
  if (file?.facts.prefix !== begin.prefix)
    throw new RoostError(
      "FENCED",
      `another materialisation of this data directory replaced ${path}`,
    );
  return file;
}

async function unpacked({ batches }: StateFile, keys: FeatureKeys): Promise<MemoryState> {
  const state = new MemoryState();
  for await (const batch of batches())
    for (const { key, value } of batch) {
      const entity = keys.entityOf(key);
      const vector = unpackValue(value, SLOTS[entity]);
      if (vector !== undefined) state.set(entity, keys.keyOf(entity, key), vector);
    }
  return state;
}
