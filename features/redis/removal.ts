import type { Cluster, Redis } from "ioredis";
import { holdLease } from "../../datasets/log/held-lease.ts";
import type { Leases } from "../../datasets/log/leases.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { scanKeys } from "../../datasets/storage/redis-scan.ts";
import { unlinkKeys } from "../../datasets/storage/redis-unlink.ts";
import { FeatureKeys, STORED_LAYOUT } from "./feature-keys.ts";
import { layoutLease } from "./layout-lease.ts";

/** Keys that are removed between two looks whether to go on. */
const CHUNK = 4_096;

export interface RemovalOptions {
  readonly leases: Leases;
  readonly monotonicMs: () => number;
  /** Ends it with the signal's reason; what is left goes the next time. */
  readonly signal?: AbortSignal;
}

export interface Removed {
  /** Keys. */
  readonly removed: number;
  /** Layouts that were left alone because somebody writes them. */
  readonly written: readonly string[];
}

/**
 * Removes the state of every layout but the registry's, except one that somebody writes at this moment: a layout to come is
 * made ready beside a server.
 * @throws REDIS_UNAVAILABLE; FENCED when it took so long that somebody else may have a layout
 */
export async function removeOtherLayouts(
  connection: RedisConnection,
  { leases, monotonicMs, signal }: RemovalOptions,
): Promise<Removed> {
  const { client, target } = connection;
  const own = new FeatureKeys(target.prefix);
  const layouts = new Set<string>();
  for (const key of await scanKeys(client, own.every)) layouts.add(own.layoutOf(key));
  layouts.delete(STORED_LAYOUT);
  let removed = 0;
  const written: string[] = [];
  for (const layout of layouts) {
    const lease = await holdLease(leases, layoutLease(layout), 0, monotonicMs);
    if (lease === undefined) {
      written.push(layout);
      continue;
    }
    try {
      const keys = new FeatureKeys(target.prefix, layout);
      // The record first: what is left of a layout that lost some of its vectors must not be read as whole.
      removed += await unlinkKeys(client, [keys.redo]);
      removed += await removeLayout(
        client,
        keys,
        AbortSignal.any([lease.lost, ...(signal ? [signal] : [])]),
      );
    } finally {
      await lease.release();
    }
  }
  return { removed, written };
}

/** Removes every vector of a layout; the record of its position stays. @throws REDIS_UNAVAILABLE */
export async function removeLayout(
  client: Redis | Cluster,
  keys: FeatureKeys,
  signal?: AbortSignal,
): Promise<number> {
  const every = await scanKeys(client, keys.layout);
  every.delete(keys.redo);
  const doomed = [...every];
  let removed = 0;
  for (let from = 0; from < doomed.length; from += CHUNK) {
    signal?.throwIfAborted();
    removed += await unlinkKeys(client, doomed.slice(from, from + CHUNK));
  }
  return removed;
}
