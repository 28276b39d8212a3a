import keySlot from "cluster-key-slot";
import { ENTITIES, type Entity } from "../entities.ts";
import { LAYOUT_HASH } from "../registry.ts";

/**
 * Keys share so many hash tags, and so many of a cluster's slots: a request's 1,200 keys then go out as some 60 commands, and
 * a batch is written by as few scripts. The slots lie evenly, so masters with equal ranges get parts that differ by one slot:
 * up to some ten masters share the load well.
 */
const BUCKETS = 32;
const SLOTS = 16_384;

/** The layout of stored vectors: their slots, and the tags that their keys share. */
export const STORED_LAYOUT = `${LAYOUT_HASH}-${BUCKETS}`;

const TAGS = evenTags();

/** A tag for each bucket, with a slot in the bucket's part of all slots. */
function evenTags(): readonly string[] {
  const tags: string[] = new Array(BUCKETS).fill("");
  let found = 0;
  for (let i = 0; found < BUCKETS; i++) {
    const tag = `{${i.toString(36)}}`;
    const bucket = Math.floor((keySlot(tag) * BUCKETS) / SLOTS);
    if (tags[bucket] !== "") continue;
    tags[bucket] = tag;
    found++;
  }
  return tags;
}

/** Names of feature state in Redis. The layout is part of each, so a vector of another layout is never read. */
export class FeatureKeys {
  /** What the keys of every layout begin with. */
  readonly every: string;
  /** What the keys of this layout begin with. */
  readonly layout: string;
  /** The batch that is or was last being applied; see `redo-record.ts`. */
  readonly redo: string;
  /** The layout that was served last. */
  readonly served: string;
  /** What the keys of an entity begin with, by bucket. */
  readonly #begins: Readonly<Record<Entity, readonly string[]>>;

  /** @param prefix of everything that this Roost keeps in Redis */
  constructor(prefix: string, layout = STORED_LAYOUT) {
    this.every = `${prefix}f:`;
    this.layout = `${this.every}${layout}:`;
    this.redo = `${this.layout}redo`;
    this.served = `${prefix}served-layout`;
    this.#begins = Object.fromEntries(
      ENTITIES.map((entity) => [entity, TAGS.map((tag) => `${this.entity(entity)}${tag}`)]),
    ) as unknown as Record<Entity, readonly string[]>;
  }

  /** What the keys of an entity begin with. */
  entity(entity: Entity): string {
    return `${this.layout}${entity}:`;
  }

  of(entity: Entity, key: string): string {
    // FNV-1a over UTF-16 units: ids that follow each other fall into different buckets.
    let hash = 0x811c9dc5;
    let isPlain = true;
    for (let i = 0; i < key.length; i++) {
      const unit = key.charCodeAt(i);
      hash = Math.imul(hash ^ unit, 0x01000193);
      if (unit === BACKSLASH || unit >= FIRST_SURROGATE) isPlain = false;
    }
    const bucket = (hash ^ (hash >>> 8) ^ (hash >>> 16) ^ (hash >>> 24)) & (BUCKETS - 1);
    return `${this.#begins[entity][bucket]}${isPlain ? key : escaped(key)}`;
  }

  /** Whose vector lies under a key of this layout. */
  entityOf(redisKey: string): Entity {
    return redisKey.slice(this.layout.length, redisKey.indexOf(":", this.layout.length)) as Entity;
  }

  /** The layout of a key of feature state. */
  layoutOf(redisKey: string): string {
    return redisKey.slice(this.every.length, redisKey.indexOf(":", this.every.length));
  }

  /** The entity's own key. */
  keyOf(entity: Entity, redisKey: string): string {
    const tagAt = this.layout.length + entity.length + 1;
    return unescaped(redisKey.slice(redisKey.indexOf("}", tagAt) + 1));
  }
}

const BACKSLASH = 0x5c;
const FIRST_SURROGATE = 0xd800;

/** Keys come from requests and may hold halves of surrogate pairs, which UTF-8 cannot tell apart. */
function escaped(key: string): string {
  return key.replace(/\\|[\ud800-\udfff]/gu, (unit) =>
    unit === "\\" ? "\\\\" : `\\${unit.charCodeAt(0).toString(16)}`,
  );
}

function unescaped(key: string): string {
  if (!key.includes("\\")) return key;
  return key.replace(/\\(\\|d[0-9a-f]{3})/g, (_, unit: string) =>
    unit === "\\" ? "\\" : String.fromCharCode(Number.parseInt(unit, 16)),
  );
}
