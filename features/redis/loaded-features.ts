import { ENTITIES, type Entity, type StateView } from "../entities.ts";

/**
 * What reading a value came to: `present` and `missing` as Redis says or said a moment ago; `stale`, an older copy in the
 * place of what could not be fetched; `expired`, a copy too old for that, so that there is nothing.
 */
export const READ_STATUSES = ["present", "missing", "stale", "expired"] as const;
export type ReadStatus = (typeof READ_STATUSES)[number];

type Counts = Readonly<Record<Entity, Record<ReadStatus, number>>>;

/** The state that one request reads: it does not change while models run one after another. */
export class LoadedFeatures implements StateView {
  readonly nowMs: number;
  readonly counts: Counts = Object.fromEntries(
    ENTITIES.map((entity) => [entity, { present: 0, missing: 0, stale: 0, expired: 0 }]),
  ) as Record<Entity, Record<ReadStatus, number>>;
  /** Age of the oldest copy that is used, in ms. */
  oldestMs = 0;
  /** Redis did not answer for a part of it. */
  degraded = false;
  readonly #vectors = Object.fromEntries(
    ENTITIES.map((entity) => [entity, new Map<string, Float64Array | undefined>()]),
  ) as Readonly<Record<Entity, Map<string, Float64Array | undefined>>>;
  readonly #topics = new Set<number>();
  readonly #media = new Set<number>();

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  get(entity: Entity, key: string): Float64Array | undefined {
    return this.#vectors[entity].get(key);
  }

  /** Whether this key was asked for. */
  has(entity: Entity, key: string): boolean {
    return this.#vectors[entity].has(key);
  }

  /** What was asked for of an entity. */
  keys(entity: Entity): Iterable<string> {
    return this.#vectors[entity].keys();
  }

  /** Keeps a place for what is being fetched. */
  expect(entity: Entity, key: string): void {
    this.#vectors[entity].set(key, undefined);
  }

  take(entity: Entity, key: string, vector: Float64Array | undefined, fetchedMs: number): void {
    this.#vectors[entity].set(key, vector);
    const counts = this.counts[entity];
    if (vector === undefined) counts.missing++;
    else counts.present++;
    this.#age(fetchedMs);
  }

  takeStale(
    entity: Entity,
    key: string,
    vector: Float64Array | undefined,
    fetchedMs: number,
  ): void {
    this.#vectors[entity].set(key, vector);
    this.counts[entity].stale++;
    this.#age(fetchedMs);
  }

  /** Nothing can be had. @param expired whether there is a copy, too old to use */
  lack(entity: Entity, key: string, expired: boolean): void {
    this.#vectors[entity].set(key, undefined);
    if (expired) this.counts[entity].expired++;
    else this.counts[entity].missing++;
  }

  #age(fetchedMs: number): void {
    if (this.nowMs - fetchedMs > this.oldestMs) this.oldestMs = this.nowMs - fetchedMs;
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
