import {
  type BuiltTimeline,
  byPlace,
  type FanOutPosition,
  MOST_ENTRIES,
  type Push,
  type Removal,
  SERVED_ENTRIES,
  type TimelineEntry,
  type TimelineStore,
} from "./timeline-store.ts";

interface HeldTimeline {
  /** In the order of a timeline. */
  entries: TimelineEntry[];
  floorMs: number;
  /** Undefined until it was rebuilt: a heap of pushes is no timeline. */
  builtAtMs: number | undefined;
}

/** Timelines in this process' memory: without Redis, and what the Redis ones are compared with. Idle ones do not expire. */
export class MemoryTimelines implements TimelineStore {
  readonly #timelines = new Map<string, HeldTimeline>();
  readonly #positions = new Map<string, FanOutPosition>();

  async push(pushes: readonly Push[]): Promise<void> {
    for (const { entry, userIds } of pushes)
      for (const userId of userIds) {
        const timeline = this.#of(userId);
        insert(timeline.entries, entry);
        trim(timeline);
      }
  }

  async read(
    userId: string,
    { after, limit }: { readonly after?: TimelineEntry | undefined; readonly limit: number },
  ): Promise<BuiltTimeline | undefined> {
    const timeline = this.#timelines.get(userId);
    if (timeline?.builtAtMs === undefined) return undefined;
    const { entries, builtAtMs } = timeline;
    const floorMs = Math.max(timeline.floorMs, entries[SERVED_ENTRIES]?.timeMs ?? -1);
    const start = after === undefined ? 0 : placeAfter(entries, after);
    const page = entries.slice(start, start + limit).filter(({ timeMs }) => timeMs > floorMs);
    return { entries: page, floorMs, builtAtMs };
  }

  async rebuild(userId: string, { entries, floorMs, builtAtMs }: BuiltTimeline): Promise<void> {
    const timeline = this.#of(userId);
    for (const entry of entries) insert(timeline.entries, entry);
    timeline.floorMs = floorMs;
    timeline.builtAtMs = builtAtMs;
    trim(timeline);
  }

  async remove(removals: readonly Removal[]): Promise<void> {
    for (const { userId, postIds } of removals) {
      const timeline = this.#timelines.get(userId);
      if (timeline === undefined) continue;
      const gone = new Set(postIds);
      timeline.entries = timeline.entries.filter(({ postId }) => !gone.has(postId));
    }
  }

  async forget(userIds: readonly string[]): Promise<void> {
    for (const userId of userIds) this.#timelines.delete(userId);
  }

  async count(userId: string): Promise<number> {
    return this.#timelines.get(userId)?.entries.length ?? 0;
  }

  /** An estimate: a reference an entry, the entry's object being shared by all timelines. */
  async bytes(userId: string): Promise<number> {
    return 8 * (await this.count(userId));
  }

  async position(name: string): Promise<FanOutPosition | undefined> {
    return this.#positions.get(name);
  }

  async savePosition(name: string, position: FanOutPosition): Promise<void> {
    this.#positions.set(name, position);
  }

  #of(userId: string): HeldTimeline {
    let timeline = this.#timelines.get(userId);
    if (timeline === undefined) {
      timeline = { entries: [], floorMs: -1, builtAtMs: undefined };
      this.#timelines.set(userId, timeline);
    }
    return timeline;
  }
}

/** Index of the first entry whose place is behind `place`. */
function placeAfter(entries: readonly TimelineEntry[], place: TimelineEntry): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (byPlace(entries[middle] as TimelineEntry, place) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}

function insert(entries: TimelineEntry[], entry: TimelineEntry): void {
  const at = placeAfter(entries, entry);
  if (entries[at - 1]?.postId !== entry.postId) entries.splice(at, 0, entry);
}

function trim(timeline: HeldTimeline): void {
  if (timeline.entries.length <= MOST_ENTRIES) return;
  const [newestGone] = timeline.entries.splice(SERVED_ENTRIES);
  // Of a heap of pushes nothing is promised, so nothing need be remembered.
  if (timeline.builtAtMs !== undefined)
    timeline.floorMs = Math.max(timeline.floorMs, (newestGone as TimelineEntry).timeMs);
}
