import type { Event, EventOf } from "../datasets/events.ts";
import { HEAD_BY_NAME, type Head } from "../datasets/heads.ts";
import { applyEvent } from "./engine.ts";
import { POST } from "./families/post-content.ts";
import { MemoryState } from "./memory-store.ts";
import { FeatureReader } from "./reader.ts";
import type { IdColumn } from "./registry.ts";
import type { TrainingRows } from "./rows.ts";

export interface ReplayOptions {
  readonly features: readonly string[];
  readonly ids: readonly IdColumn[];
  readonly heads: readonly string[];
  /** Impressions in [fromMs, toMs) become rows; the state learns from every event. Default: all. */
  readonly fromMs?: number;
  readonly toMs?: number;
  /** Told of each row before its impression is applied: the state is what the row's features were read from. */
  readonly onRow?: (row: number, event: EventOf<"impression">, state: MemoryState) => void;
}

/**
 * Walks a log in (time, sequence) order and emits one point-in-time training row per impression: a row sees what was
 * known strictly before it, so events of the same millisecond see nothing of each other. Labels come from the engagements
 * that name the impression's request, user and post, whenever they arrive; impressions that agree in all three share them.
 */
export class Replay {
  readonly state: MemoryState;
  readonly #options: ReplayOptions;
  readonly #reader: FeatureReader;
  readonly #rows: GrowingRows;
  readonly #heads: readonly Head[];
  readonly #headIndex: ReadonlyMap<string, number>;
  /** Request → post → the newest row of both. */
  readonly #rowOf = new Map<string, Map<string, number>>();
  /** A row → the row before it of the same request and post. */
  readonly #rowBefore = new Map<number, number>();
  readonly #sameTime: Event[] = [];
  #timeMs = Number.NEGATIVE_INFINITY;

  /** @throws RangeError naming a feature that the registry lacks or a head that is not in the table or not logged itself. */
  constructor(options: ReplayOptions, state = new MemoryState()) {
    for (const name of options.heads) {
      const head = HEAD_BY_NAME.get(name);
      if (head === undefined) throw new RangeError(`no head is called ${name}`);
      if (head.composite !== undefined)
        throw new RangeError(`${name} has no label of its own: train ${head.composite.join(", ")}`);
    }
    this.#options = options;
    this.state = state;
    this.#reader = new FeatureReader(options.features, options.ids);
    this.#heads = options.heads.map((name) => HEAD_BY_NAME.get(name) as Head);
    this.#headIndex = new Map(options.heads.map((name, i) => [name, i]));
    this.#rows = new GrowingRows(options);
  }

  /** Takes the next event. @throws RangeError when it is earlier than one before it. */
  push(event: Event): void {
    if (event.time_ms < this.#timeMs) throw new RangeError("replay needs events in time order");
    if (event.time_ms > this.#timeMs) this.settle();
    this.#timeMs = event.time_ms;
    if (event.type === "impression") this.#emit(event);
    this.#sameTime.push(event);
  }

  /** Applies what is still held back for the running millisecond. */
  settle(): void {
    this.#labelSameTime();
    for (const event of this.#sameTime) applyEvent(this.state, event);
    this.#sameTime.length = 0;
  }

  /** Every row so far, as views: what is pushed later may still change their labels. */
  rows(): TrainingRows {
    this.#labelSameTime();
    return this.#rows.finish();
  }

  #emit(event: EventOf<"impression">): void {
    const { fromMs = Number.NEGATIVE_INFINITY, toMs = Number.POSITIVE_INFINITY } = this.#options;
    if (event.time_ms < fromMs || event.time_ms >= toMs) return;
    const row = this.#rows.add(event);
    this.#options.onRow?.(row, event, this.state);
    this.#reader.begin(this.state, {
      userId: event.user_id,
      nowMs: event.time_ms,
      ...(event.surface === undefined ? {} : { surface: event.surface }),
    });
    this.#reader.row(event.post_id, event.author_id, this.#rows.features, this.#rows.ids, row);
    let requested = this.#rowOf.get(event.request_id);
    if (requested === undefined) {
      requested = new Map();
      this.#rowOf.set(event.request_id, requested);
    }
    const before = requested.get(event.post_id);
    if (before !== undefined) this.#rowBefore.set(row, before);
    requested.set(event.post_id, row);
    const post = this.state.get("post", event.post_id);
    for (let h = 0; h < this.#heads.length; h++)
      this.#rows.labels[row * this.#heads.length + h] = initialLabel(
        this.#heads[h] as Head,
        post,
        event.in_network,
      );
  }

  /** Labels when the millisecond is whole: an engagement may stand before its impression in it. */
  #labelSameTime(): void {
    for (const event of this.#sameTime) if (event.type === "engagement") this.#label(event);
  }

  #label(event: EventOf<"engagement">): void {
    const head = this.#headIndex.get(event.head);
    if (head === undefined || event.request_id === undefined) return;
    const { labels } = this.#rows;
    let row = this.#rowOf.get(event.request_id)?.get(event.post_id);
    for (; row !== undefined; row = this.#rowBefore.get(row)) {
      const at = row * this.#heads.length + head;
      // What is behind a closed gate stays masked: such rows have no negatives.
      if (this.#rows.userId(row) === event.user_id && !Number.isNaN(labels[at]))
        labels[at] = event.undo ? 0 : (event.value ?? 1);
    }
  }
}

/** 0 until an engagement arrives; NaN (masked) where the head's gate is closed. */
function initialLabel(
  head: Head,
  post: Float64Array | undefined,
  inNetwork: boolean | undefined,
): number {
  switch (head.gate) {
    case "has_photo":
      return post?.[POST.media] === 1 ? 0 : Number.NaN;
    case "has_video":
      return post?.[POST.media] === 2 ? 0 : Number.NaN;
    case "out_of_network":
      return inNetwork === true ? Number.NaN : 0;
    case "in_network":
      return inNetwork === false ? Number.NaN : 0;
    case "has_quote":
      return post?.[POST.quote] === 1 ? 0 : Number.NaN;
    default:
      return 0;
  }
}

/** Row columns that double when they are full. */
class GrowingRows {
  features: Float32Array;
  ids: Uint32Array;
  labels: Float32Array;
  #timeMs = new Float64Array(INITIAL);
  #position = new Float32Array(INITIAL);
  #inNetwork = new Float32Array(INITIAL);
  #user = new Int32Array(INITIAL);
  readonly #userIds: string[] = [];
  readonly #postIds: string[] = [];
  readonly #userIndex = new Map<string, number>();
  readonly #options: ReplayOptions;
  #n = 0;
  #capacity = INITIAL;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.features = new Float32Array(INITIAL * options.features.length);
    this.ids = new Uint32Array(INITIAL * options.ids.length);
    this.labels = new Float32Array(INITIAL * options.heads.length);
  }

  userId(row: number): string {
    return this.#userIds[row] as string;
  }

  add(event: EventOf<"impression">): number {
    if (this.#n === this.#capacity) this.#grow();
    const row = this.#n++;
    this.#timeMs[row] = event.time_ms;
    this.#position[row] = event.position;
    this.#inNetwork[row] = event.in_network === undefined ? Number.NaN : event.in_network ? 1 : 0;
    let user = this.#userIndex.get(event.user_id);
    if (user === undefined) {
      user = this.#userIndex.size;
      this.#userIndex.set(event.user_id, user);
    }
    this.#user[row] = user;
    this.#userIds.push(event.user_id);
    this.#postIds.push(event.post_id);
    return row;
  }

  #grow(): void {
    this.#capacity *= 2;
    const { features, ids, heads } = this.#options;
    this.features = grown(this.features, new Float32Array(this.#capacity * features.length));
    this.ids = grown(this.ids, new Uint32Array(this.#capacity * ids.length));
    this.labels = grown(this.labels, new Float32Array(this.#capacity * heads.length));
    this.#timeMs = grown(this.#timeMs, new Float64Array(this.#capacity));
    this.#position = grown(this.#position, new Float32Array(this.#capacity));
    this.#inNetwork = grown(this.#inNetwork, new Float32Array(this.#capacity));
    this.#user = grown(this.#user, new Int32Array(this.#capacity));
  }

  finish(): TrainingRows {
    const n = this.#n;
    const { features, ids, heads } = this.#options;
    return {
      n,
      featureNames: features,
      features: this.features.subarray(0, n * features.length),
      idNames: ids,
      ids: this.ids.subarray(0, n * ids.length),
      headNames: heads,
      labels: this.labels.subarray(0, n * heads.length),
      timeMs: this.#timeMs.subarray(0, n),
      user: this.#user.subarray(0, n),
      userIds: this.#userIds,
      postIds: this.#postIds,
      position: this.#position.subarray(0, n),
      inNetwork: this.#inNetwork.subarray(0, n),
      weight: new Float32Array(n).fill(1),
    };
  }
}
const INITIAL = 4096;

function grown<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** The rows with time in [fromMs, toMs), as views where they are contiguous (rows come in time order). */
export function rowsBetween(rows: TrainingRows, fromMs: number, toMs: number): TrainingRows {
  let first = 0;
  while (first < rows.n && (rows.timeMs[first] as number) < fromMs) first++;
  let last = first;
  while (last < rows.n && (rows.timeMs[last] as number) < toMs) last++;
  const d = rows.featureNames.length;
  const k = rows.idNames.length;
  const h = rows.headNames.length;
  return {
    ...rows,
    n: last - first,
    features: rows.features.subarray(first * d, last * d),
    ids: rows.ids.subarray(first * k, last * k),
    labels: rows.labels.subarray(first * h, last * h),
    timeMs: rows.timeMs.subarray(first, last),
    user: rows.user.subarray(first, last),
    userIds: rows.userIds.slice(first, last),
    postIds: rows.postIds.slice(first, last),
    position: rows.position.subarray(first, last),
    inNetwork: rows.inNetwork.subarray(first, last),
    weight: rows.weight.subarray(first, last),
  };
}
