import type { Database, RootDatabase } from "lmdb";
import type { Entity, StateEditor, VectorCell } from "./entities.ts";
import { ENTITIES } from "./entities.ts";
import { StagedState } from "./memory-store.ts";
import { LAYOUT_HASH } from "./registry.ts";
import type { FeatureStore } from "./store.ts";
import type { EntityUsage, FeatureUsage } from "./usage.ts";

/**
 * Vectors kept decoded in front of LMDB. At about 0.5 KB a vector this is at most some 150 MB; a cell that somebody holds
 * keeps its vector beyond that.
 */
const DEFAULT_CACHE_ENTRIES = 300_000;

const BULK_PUTS = 50_000;

/**
 * The feature store on LMDB: one sub-database per entity, values are the vectors' little-endian float64 bytes, and the
 * position commits in the same transaction as the vectors. State of another layout is dropped when the store is opened:
 * it is rebuilt from the log. Transactions run one after another, each on the state that the one before left.
 */
export class LmdbFeatureStore implements FeatureStore {
  readonly #root: RootDatabase;
  readonly #vectors: ReadonlyMap<Entity, Database<Buffer, string>>;
  readonly #meta: Database<string | number, string>;
  readonly #cache: VectorCache;
  /** Old vectors of what is being committed: LMDB may show a commit before its promise resolves. */
  #committing: Map<Entity, Map<string, VectorCell>> | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #position: number;

  private constructor(root: RootDatabase, cacheEntries: number) {
    this.#root = root;
    this.#vectors = new Map(
      ENTITIES.map((entity) => [
        entity,
        root.openDB<Buffer, string>({ name: `features/${entity}`, encoding: "binary" }),
      ]),
    );
    this.#meta = root.openDB<string | number, string>({ name: "features/meta" });
    this.#cache = new VectorCache(cacheEntries);
    this.#position = (this.#meta.get("position") as number | undefined) ?? 0;
  }

  /** @param root an open environment; the store keeps its sub-databases under `features/`. */
  static async open(
    root: RootDatabase,
    cacheEntries = DEFAULT_CACHE_ENTRIES,
  ): Promise<LmdbFeatureStore> {
    const store = new LmdbFeatureStore(root, cacheEntries);
    const layout = store.#meta.get("layout");
    if (layout !== undefined && layout !== LAYOUT_HASH) await store.#reset();
    if (layout !== LAYOUT_HASH) await store.#meta.put("layout", LAYOUT_HASH);
    return store;
  }

  get position(): number {
    return this.#position;
  }

  get(entity: Entity, key: string): Float64Array | undefined {
    return (this.#committing?.get(entity)?.get(key) ?? this.#cached(entity, key)).vector;
  }

  cell(entity: Entity, key: string, held?: VectorCell): VectorCell {
    // While a commit runs a cell still has what was before.
    if (held !== undefined && this.#cache.keeps(held)) return held;
    return this.#committing?.get(entity)?.get(key) ?? this.#cached(entity, key);
  }

  #cached(entity: Entity, key: string): VectorCell {
    const cached = this.#cache.get(entity, key);
    if (cached !== undefined) return cached;
    const bytes = this.#vectors.get(entity)?.getBinary(storedKey(key));
    return this.#cache.set(entity, key, bytes === undefined ? undefined : decode(bytes));
  }

  transaction(position: number, change: (state: StateEditor) => void): Promise<void> {
    const done = this.#tail.then(() => this.#commit(position, change));
    // The next one starts whether or not this one fails; its own caller hears of the failure.
    this.#tail = done.catch(() => {});
    return done;
  }

  async #commit(position: number, change: (state: StateEditor) => void): Promise<void> {
    const staged = new StagedState(this, (entity) => this.#keys(entity));
    change(staged);
    const before = new Map<Entity, Map<string, VectorCell>>();
    for (const [entity, vectors] of staged.edited) {
      const cells = new Map<string, VectorCell>();
      for (const key of vectors.keys()) cells.set(key, { vector: this.get(entity, key) });
      before.set(entity, cells);
    }
    this.#committing = before;
    try {
      // A plain transaction keeps the puts before one that fails; a child transaction drops them.
      await this.#root.childTransaction(() => {
        for (const [entity, vectors] of staged.edited) {
          const db = this.#vectors.get(entity) as Database<Buffer, string>;
          for (const [key, vector] of vectors) {
            if (vector === undefined) db.remove(storedKey(key));
            else db.put(storedKey(key), encode(vector));
          }
        }
        this.#meta.put("position", position);
      });
      for (const [entity, vectors] of staged.edited)
        for (const [key, vector] of vectors) this.#cache.set(entity, key, vector);
      this.#position = position;
    } finally {
      this.#committing = undefined;
    }
  }

  /**
   * Puts a whole state in place of what is stored. The position is written last: interrupted, the store is at 0 and is
   * built again.
   */
  async replaceAll(
    position: number,
    entries: Iterable<readonly [Entity, string, Float64Array]>,
  ): Promise<void> {
    await this.#tail;
    await this.#reset();
    await this.#meta.put("layout", LAYOUT_HASH);
    let waiting: Promise<unknown> = Promise.resolve();
    let puts = 0;
    for (const [entity, key, vector] of entries) {
      waiting = (this.#vectors.get(entity) as Database<Buffer, string>).put(
        storedKey(key),
        encode(vector),
      );
      // Waiting now and then bounds what LMDB holds in memory for the commit.
      if (++puts % BULK_PUTS === 0) await waiting;
    }
    await waiting;
    await this.#meta.put("position", position);
    await this.#root.flushed;
    this.#position = position;
  }

  /** What the vectors take on disk, whole pages; told by LMDB without counting. */
  usage(): FeatureUsage {
    const usage: Partial<Record<Entity, EntityUsage>> = {};
    for (const [entity, db] of this.#vectors) {
      const stats = db.getStats() as TreeStats;
      const pages = stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
      usage[entity] = { entities: stats.entryCount, bytes: pages * stats.pageSize };
    }
    return usage as FeatureUsage;
  }

  /** Waits until everything committed is on disk. */
  async flushed(): Promise<void> {
    await this.#root.flushed;
  }

  /** Waits for what runs and until it is on disk; the environment stays open, it belongs to who opened it. */
  async close(): Promise<void> {
    await this.#tail;
    await this.#root.flushed;
  }

  *#keys(entity: Entity): Iterable<string> {
    const db = this.#vectors.get(entity) as Database<Buffer, string>;
    for (const key of db.getKeys()) yield (key as string).slice(1);
  }

  async #reset(): Promise<void> {
    for (const db of this.#vectors.values()) await db.clearAsync();
    await this.#meta.clearAsync();
    this.#cache.clear();
    this.#position = 0;
  }
}

/** Of what LMDB tells of a tree. */
interface TreeStats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
  readonly entryCount: number;
}

/** LMDB refuses empty keys, and the token entity has one: every key gets a prefix. */
const storedKey = (key: string): string => `k${key}`;

const encode = (vector: Float64Array): Buffer =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);

function decode(bytes: Uint8Array): Float64Array {
  // LMDB's buffer is neither aligned nor kept: copy.
  const vector = new Float64Array(bytes.byteLength / 8);
  new Uint8Array(vector.buffer).set(bytes);
  return vector;
}

type Cells = Readonly<Record<Entity, Map<string, Cell>>>;

/** Stands for one generation of one cache; not its maps, which a cell that somebody holds would keep alive. */
class Generation {}

class Cell implements VectorCell {
  vector: Float64Array | undefined;
  generation: Generation;

  constructor(vector: Float64Array | undefined, generation: Generation) {
    this.vector = vector;
    this.generation = generation;
  }
}

/**
 * A bounded cache that forgets by generations: cheaper than exact LRU and nearly as good. Keys that LMDB is known not to
 * have count too.
 */
class VectorCache {
  readonly #limit: number;
  #young = emptyMaps();
  #old = emptyMaps();
  #generation = new Generation();
  /** Number of young vectors. */
  #added = 0;

  constructor(entries: number) {
    this.#limit = Math.max(1, Math.floor(entries / 2));
  }

  /** Whether a cell is this cache's and young: an old one may be forgotten without notice. */
  keeps(cell: VectorCell): boolean {
    return (cell as Partial<Cell>).generation === this.#generation;
  }

  get(entity: Entity, key: string): Cell | undefined {
    const young = this.#young[entity].get(key);
    if (young !== undefined) return young;
    const old = this.#old[entity].get(key);
    if (old !== undefined) this.#rejuvenate(entity, key, old);
    return old;
  }

  set(entity: Entity, key: string, vector: Float64Array | undefined): Cell {
    const held = this.get(entity, key);
    if (held !== undefined) {
      held.vector = vector;
      return held;
    }
    const cell = new Cell(vector, this.#generation);
    this.#rejuvenate(entity, key, cell);
    return cell;
  }

  clear(): void {
    this.#begin(emptyMaps());
  }

  #rejuvenate(entity: Entity, key: string, cell: Cell): void {
    cell.generation = this.#generation;
    this.#young[entity].set(key, cell);
    if (++this.#added === this.#limit) this.#begin(this.#young);
  }

  #begin(old: Cells): void {
    this.#old = old;
    this.#young = emptyMaps();
    this.#generation = new Generation();
    this.#added = 0;
  }
}

const emptyMaps = (): Cells =>
  Object.fromEntries(ENTITIES.map((entity) => [entity, new Map<string, Cell>()])) as Record<
    Entity,
    Map<string, Cell>
  >;
