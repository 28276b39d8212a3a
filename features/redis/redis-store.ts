import { setTimeout as delay } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { RedisGroups } from "../../datasets/storage/redis-groups.ts";
import { scanKeys } from "../../datasets/storage/redis-scan.ts";
import { RoostError } from "../../errors.ts";
import type { Entity, StateEditor } from "../entities.ts";
import type { StagedState } from "../memory-store.ts";
import { SLOTS } from "../registry.ts";
import type { FeatureStore } from "../store.ts";
import { FeatureKeys } from "./feature-keys.ts";
import { type Batches, fillLayout, type PackedState } from "./fill-layout.ts";
import { packBatches } from "./packed-batches.ts";
import { HEADER_BYTES, packValue, retoken, unpackValue } from "./packed-value.ts";
import {
  decodeRedo,
  encodeDropping,
  encodeRedo,
  type Filling,
  type Redo,
  type RedoEntry,
} from "./redo-record.ts";
import { removeLayout } from "./removal.ts";
import { CLAIM, SET_REDO, SET_VALUES } from "./scripts.ts";
import { type EntityKey, type HeldVector, stageChange } from "./stage-change.ts";

export interface RedisStoreOptions {
  readonly connection: RedisConnection;
  /** Fencing token of the lease to write, 0 to 2^32 − 1: from opening on every owner with a smaller one is refused. */
  readonly token: number;
  readonly now: () => number;
  /** Vectors that the writer keeps decoded, of some 0.5 KB each. */
  readonly cacheEntries?: number;
  /** Times that a write is tried before the store gives up; pauses grow to a second. */
  readonly attempts?: number;
  /** Replicas that must have a write before it counts; 0, the default: one where any is connected. */
  readonly replicas?: number;
  /** Told when Redis does not have what it had acknowledged; nothing is written any more then. */
  readonly onLost?: () => void;
  /** Layout of the keys; another than the registry's only where that is tested. */
  readonly layout?: string;
  /** The state whose interrupted `fill` is gone on with; what remains of any other is dropped. */
  readonly filling?: string;
}

/** What a writer touches again and again: viewers, authors and topics of the last minutes. */
const CACHE_ENTRIES = 200_000;
/** About half a minute: a master's death and its replica's promotion take some seconds. */
const ATTEMPTS = 40;
const MOST_PAUSE_MS = 1_000;
/** A deleted vector's header keeps out what an older owner still has on its way; none is on its way that long. */
const DELETED_FOR_MS = 3_600_000;

/**
 * The feature store on Redis, written by one owner at a time. A transaction is first written whole as one record, which
 * makes it durable, and then key by key; opening finishes what the last owner left. So a batch is in whole or not at all,
 * however the writer ends, given that Redis keeps what it acknowledged: `appendfsync always`, and where a master may be lost
 * a replica in sync.
 *
 * `change` must be a function of the state alone: it runs again whenever it looked at vectors that had to be fetched.
 * `get` answers from what this writer holds; requests read through `redis-reads.ts`.
 */
export class RedisFeatureStore implements FeatureStore {
  readonly #options: RedisStoreOptions;
  readonly #groups: RedisGroups;
  readonly #keys: FeatureKeys;
  /** By Redis key; also of those that Redis does not have. */
  readonly #cache: LRUCache<string, HeldVector>;
  #tail: Promise<unknown> = Promise.resolve();
  #position = 0;
  #closing = false;
  /** How far the state of `filling` was written by an owner before. */
  #filling: Filling | undefined;
  /** Why nothing is written any more: it is not known what of the last batch is in Redis. */
  #stopped: unknown;

  private constructor(options: RedisStoreOptions) {
    this.#options = options;
    const { connection, replicas = 0, onLost } = options;
    this.#groups = new RedisGroups(connection.client, undefined, replicas, onLost);
    this.#keys = new FeatureKeys(options.connection.target.prefix, options.layout);
    this.#cache = new LRUCache({ max: options.cacheEntries ?? CACHE_ENTRIES });
  }

  /**
   * Takes the state over and finishes the batch that the owner before left.
   * @throws FENCED when a newer owner has been here, REDIS_UNAVAILABLE
   */
  static async open(options: RedisStoreOptions): Promise<RedisFeatureStore> {
    const store = new RedisFeatureStore(options);
    await store.#insist(() => store.#takeOver(), ATTEMPTS);
    return store;
  }

  async #takeOver(): Promise<void> {
    const { token } = this.#options;
    const empty = encodeRedo([], this.#header(0));
    const record = await this.#one(this.#keys.redo, CLAIM, [empty]);
    if (!Buffer.isBuffer(record)) throw fenced(token);
    const redo = decodeRedo(record);
    if (redo.filling !== undefined && redo.filling.id === this.#options.filling)
      this.#filling = redo.filling;
    else if (redo.dropping) await this.#drop();
    else await this.#apply(this.#own(redo).entries);
    this.#position = redo.dropping ? 0 : redo.header.position;
  }

  /** The record with this owner's token in its values. */
  #own(redo: Redo): Redo {
    for (const { value } of redo.entries) retoken(value, this.#options.token);
    return redo;
  }

  get position(): number {
    return this.#position;
  }

  get(entity: Entity, key: string): Float64Array | undefined {
    return this.#cache.get(this.#keys.of(entity, key))?.vector;
  }

  /**
   * @throws REDIS_UNAVAILABLE FENCED; after either of a write that has begun the store takes nothing more and is to be opened
   *   again, which finds out what was written
   */
  transaction(position: number, change: (state: StateEditor) => void): Promise<void> {
    const done = this.#tail.then(() => this.#commit(position, change));
    this.#tail = done.catch(() => {});
    return done;
  }

  async #commit(position: number, change: (state: StateEditor) => void): Promise<void> {
    if (this.#stopped !== undefined) throw this.#stopped;
    const staged = await this.#stage(change);
    const header = this.#header(position);
    const entries: RedoEntry[] = [];
    const held: [string, Float64Array | undefined][] = [];
    for (const [entity, vectors] of staged.edited)
      for (const [key, vector] of vectors) {
        const redisKey = this.#keys.of(entity, key);
        entries.push({ key: redisKey, value: packValue(vector, header) });
        held.push([redisKey, vector]);
      }
    const record = encodeRedo(entries, header);
    try {
      await this.#put(record);
      await this.#insist(() => this.#apply(entries));
    } catch (error) {
      this.#stopped = error;
      throw error;
    }
    for (const [key, vector] of held) this.#cache.set(key, { vector });
    this.#position = position;
  }

  #stage(change: (state: StateEditor) => void): Promise<StagedState> {
    return stageChange(change, {
      held: (entity, key) => this.#cache.get(this.#keys.of(entity, key)),
      fetch: (wanted) => this.#insist(() => this.#fetch(wanted)),
      list: (entity) => this.#insist(() => this.#list(entity)),
    });
  }

  async #fetch(wanted: readonly EntityKey[]): Promise<HeldVector[]> {
    const keys = wanted.map(({ entity, key }) => this.#keys.of(entity, key));
    const values = await this.#groups.getAll(keys);
    return wanted.map(({ entity }, i) => {
      const value = values[i];
      if (value instanceof Error) throw unavailable(value);
      const held = { vector: value == null ? undefined : unpackValue(value, SLOTS[entity]) };
      this.#cache.set(keys[i] as string, held);
      return held;
    });
  }

  /** Every key of an entity, of all masters. */
  async #list(entity: Entity): Promise<string[]> {
    const { client } = this.#options.connection;
    const keys = [...(await scanKeys(client, this.#keys.entity(entity)))];
    const lengths = await this.#groups.run(keys.map((key) => ({ key, call: "strlen", args: [] })));
    const failed = lengths.find((length) => length instanceof Error);
    if (failed !== undefined) throw unavailable(failed as Error);
    return keys
      .filter((_, i) => (lengths[i] as number) > HEADER_BYTES)
      .map((key) => this.#keys.keyOf(entity, key));
  }

  async #apply(entries: readonly RedoEntry[]): Promise<void> {
    const answers = await this.#groups.runScript(
      SET_VALUES,
      entries.map(({ key }) => key),
      entries.map(({ value }) => value),
      DELETED_FOR_MS,
    );
    if (answers.includes(-1)) throw fenced(this.#options.token);
    const failed = answers.find((answer) => answer instanceof Error);
    if (failed !== undefined) throw unavailable(failed as Error);
  }

  /** Throws the state away: every vector and then the position. What is interrupted is finished by the next opening. */
  drop(): Promise<void> {
    const done = this.#tail.then(async () => {
      if (this.#stopped !== undefined) throw this.#stopped;
      const record = encodeDropping(this.#header(this.#position));
      try {
        await this.#put(record);
        await this.#insist(() => this.#drop());
      } catch (error) {
        this.#stopped = error;
        throw error;
      }
    });
    this.#tail = done.catch(() => {});
    return done;
  }

  /** Puts a whole state in place of what is stored; what is interrupted is dropped by the next opening. */
  async replaceAll(
    position: number,
    entries: Iterable<readonly [Entity, string, Float64Array]>,
  ): Promise<void> {
    await this.#replace(position, packBatches(entries, this.#keys, this.#header(position)));
  }

  /**
   * Puts a whole state in place of what is stored. The position is written last: what is interrupted is gone on with by an
   * opening that names this state in `filling`, and dropped by every other.
   * @param onProgress told how many vectors are there; what it throws ends the filling
   * @returns how many of them this call wrote
   */
  fill(
    { id, position, batches }: PackedState,
    onProgress: (written: number) => void = () => {},
  ): Promise<number> {
    return this.#replace(position, batches(), { id, onProgress });
  }

  async #replace(
    position: number,
    batches: Batches,
    kept?: { readonly id: string; readonly onProgress: (written: number) => void },
  ): Promise<number> {
    const there = kept !== undefined && this.#filling?.id === kept.id ? this.#filling.written : 0;
    this.#filling = undefined;
    if (there === 0) await this.drop();
    const done = this.#tail.then(async () => {
      if (this.#stopped !== undefined) throw this.#stopped;
      const written = await fillLayout(batches, {
        header: this.#header(position),
        there,
        ...kept,
        put: (record) => this.#put(record),
        apply: (batch) => this.#insist(() => this.#apply(batch)),
      });
      this.#position = position;
      return written;
    });
    this.#tail = done.catch((error: unknown) => {
      this.#stopped = error;
    });
    return done;
  }

  async #drop(): Promise<void> {
    await removeLayout(this.#options.connection.client, this.#keys);
    // The token stays: an older owner is refused after this too.
    await this.#one(this.#keys.redo, SET_REDO, [encodeRedo([], this.#header(0))]);
    this.#cache.clear();
    this.#position = 0;
  }

  #put(record: Buffer): Promise<void> {
    return this.#insist(async () => {
      const answer = await this.#one(this.#keys.redo, SET_REDO, [record]);
      if (answer !== 1) throw fenced(this.#options.token);
    });
  }

  async #one(
    key: string,
    call: typeof CLAIM,
    args: readonly (Buffer | number)[],
  ): Promise<unknown> {
    const [answer] = await this.#groups.run([{ key, call, args }]);
    if (answer instanceof Error) throw unavailable(answer);
    return answer;
  }

  /** Does what may be done again until it succeeds or the store is closed. */
  async #insist<T>(
    work: () => Promise<T>,
    attempts = this.#options.attempts ?? ATTEMPTS,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        const passing = error instanceof RoostError && error.code === "REDIS_UNAVAILABLE";
        if (!passing || this.#closing || attempt >= attempts) throw error;
        await delay(Math.min(50 * attempt, MOST_PAUSE_MS));
      }
    }
  }

  #header(position: number) {
    return { token: this.#options.token, position, timeMs: this.#options.now() };
  }

  /** Waits for what runs, unless Redis is gone; the connection stays open, it belongs to who opened it. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#tail;
  }
}

const unavailable = (error: Error): RoostError =>
  error instanceof RoostError
    ? error
    : new RoostError("REDIS_UNAVAILABLE", `feature state: ${error.message}`, error);

const fenced = (token: number): RoostError =>
  new RoostError("FENCED", `feature state is written by an owner with a token above ${token}`);
