import { ENTITIES, type Entity, type StateView } from "../entities.ts";

/**
 * What reading a value came to: `present` and `missing` as Redis says or said a moment ago; `stale`, an older copy in the
 * place of what could not be fetched; `expired`, a copy too old for that, so that there is nothing.
 */
export const READ_STATUSES = ["present", "missing", "stale", "expired"] as const;
export type ReadStatus = (typeof READ_STATUSES)[number];

/** A vector as it was fetched; shared by the requests that use it. */
export interface Copy {
  vector: Float64Array | undefined;
  readonly fetchedMs: number;
}

/** The state that one request reads: it does not change while models run one after another. */
export class LoadedFeatures implements StateView {
  readonly nowMs: number;
  readonly counts: Readonly<Record<Entity, Record<ReadStatus, number>>> = byEntity(() => ({
    present: 0,
    missing: 0,
    stale: 0,
    expired: 0,
  }));
  /** Age of the oldest copy that is used, in ms. */
  oldestMs = 0;
  /** Redis did not answer for a part of it. */
  degraded = false;
  readonly #copies = byEntity(() => new Map<string, Copy>());
  readonly #topics = new Set<number>();
  readonly #media = new Set<number>();

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  get(entity: Entity, key: string): Float64Array | undefined {
    return this.#copies[entity].get(key)?.vector;
  }

  /** Whether this key was asked for. */
  has(entity: Entity, key: string): boolean {
    return this.#copies[entity].has(key);
  }

  /** What was asked for of an entity. */
  keys(entity: Entity): Iterable<string> {
    return this.#copies[entity].keys();
  }

  /** Uses a copy that is fresh. */
  take(entity: Entity, key: string, copy: Copy): void {
    this.#copies[entity].set(key, copy);
    this.count(entity, copy.vector === undefined ? "missing" : "present", copy);
  }

  /** Keeps a place for what is being fetched, with an older vector until who fetches fills it in. */
  expect(entity: Entity, key: string, older: Float64Array | undefined): Copy {
    const copy = { vector: older, fetchedMs: this.nowMs };
    this.#copies[entity].set(key, copy);
    return copy;
  }

  count(entity: Entity, status: ReadStatus, { fetchedMs }: Copy): void {
    this.counts[entity][status]++;
    if (this.nowMs - fetchedMs > this.oldestMs && status !== "expired")
      this.oldestMs = this.nowMs - fetchedMs;
  }

  /** True when this topic's hash is met for the first time. */
  meetsTopic(topic: number): boolean {
    const before = this.#topics.size;
    return this.#topics.add(topic).size > before;
  }

  /** True when this kind of media is met for the first time. */
  meetsMedia(media: number): boolean {
    const before = this.#media.size;
    return this.#media.add(media).size > before;
  }
}

function byEntity<T>(make: () => T): Readonly<Record<Entity, T>> {
  const all: Partial<Record<Entity, T>> = {};
  for (const entity of ENTITIES) all[entity] = make();
  return all as Record<Entity, T>;
}
