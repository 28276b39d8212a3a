import type { Entity } from "../entities.ts";
import { LAYOUT_HASH } from "../registry.ts";

/** Names of feature state in Redis. The layout is part of each, so a vector of another layout is never read. */
export class FeatureKeys {
  /** What the keys of every layout begin with. */
  readonly every: string;
  /** What the keys of this layout begin with. */
  readonly layout: string;
  /** The batch that is or was last being applied; see `redo-record.ts`. */
  readonly redo: string;

  /** @param prefix of everything that this Roost keeps in Redis */
  constructor(prefix: string, layout = LAYOUT_HASH) {
    this.every = `${prefix}f:`;
    this.layout = `${this.every}${layout}:`;
    this.redo = `${this.layout}redo`;
  }

  /** What the keys of an entity begin with. */
  entity(entity: Entity): string {
    return `${this.layout}${entity}:`;
  }

  of(entity: Entity, key: string): string {
    return `${this.layout}${entity}:${escaped(key)}`;
  }

  /** The entity's own key. */
  keyOf(entity: Entity, redisKey: string): string {
    return unescaped(redisKey.slice(this.layout.length + entity.length + 1));
  }
}

const LONE_SURROGATE = /[\ud800-\udfff]/u;

/** Keys come from requests and may hold halves of surrogate pairs, which UTF-8 cannot tell apart. */
function escaped(key: string): string {
  if (!key.includes("\\") && !LONE_SURROGATE.test(key)) return key;
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
