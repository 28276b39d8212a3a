import { type KeptLease, keepLease } from "../../datasets/log/kept-lease.ts";
import type { Leases } from "../../datasets/log/leases.ts";
import { LOG_PARTITION } from "../../datasets/log/redis-event-log.ts";
import { redisLeases } from "../../datasets/log/redis-leases.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { RoostError } from "../../errors.ts";
import { FeatureKeys, STORED_LAYOUT } from "../../features/redis/feature-keys.ts";
import { holdLayout, SERVER_LEASE } from "../../features/redis/layout-lease.ts";
import { removeOtherLayouts } from "../../features/redis/removal.ts";

const monotonicMs = (): number => performance.now();

export interface LeaseOptions {
  readonly connection: RedisConnection;
  /** Tells this process from every other. */
  readonly owner: string;
  /** Told when another process has the state: this process must end. */
  readonly onLost: (error: RoostError) => void;
  /** How long a dead process keeps others from the state. */
  readonly leaseTtlMs?: number;
}

const leasesOf = ({ connection, owner, leaseTtlMs }: Omit<LeaseOptions, "onLost">): Leases =>
  redisLeases(connection, { owner, ...(leaseTtlMs !== undefined && { ttlMs: leaseTtlMs }) });

/** What the one server of a prefix holds: its own lease, and the one to write this layout's state. */
export async function holdState(options: LeaseOptions): Promise<KeptLease> {
  const server = await holdPrefix(options);
  try {
    const { connection, owner, onLost, leaseTtlMs } = options;
    const layout = await holdLayout(connection, {
      owner,
      monotonicMs,
      onLost,
      ...(leaseTtlMs !== undefined && { ttlMs: leaseTtlMs }),
    });
    return {
      token: layout.token,
      release: async () => {
        await layout.release();
        await server.release();
      },
    };
  } catch (error) {
    await server.release();
    throw error;
  }
}

/** Holds the lease of the prefix' one server until it is released or somebody else has it. */
async function holdPrefix(options: LeaseOptions): Promise<KeptLease> {
  const leases = leasesOf(options);
  const lease = await keepLease(leases, SERVER_LEASE, LOG_PARTITION, {
    // The process before may have been killed.
    patienceMs: 2 * leases.ttlMs,
    monotonicMs,
    onLost: options.onLost,
  });
  if (lease !== undefined) return lease;
  throw new RoostError(
    "FENCED",
    `another process writes the feature state under the prefix ${options.connection.target.prefix}`,
  );
}

/**
 * Removes, in the background, what builds before this one left, once this layout is served for the first time: a server that
 * merely starts again leaves alone what is being made ready for the next build.
 * @returns ends it
 */
export function forgetOtherLayouts(
  options: Omit<LeaseOptions, "onLost">,
  onNotice: (reason: string) => void,
): () => Promise<void> {
  const { connection } = options;
  const { client, target } = connection;
  const { served } = new FeatureKeys(target.prefix);
  const ended = new AbortController();
  const forget = async (): Promise<void> => {
    if ((await client.get(served)) === STORED_LAYOUT) return;
    const { signal } = ended;
    await removeOtherLayouts(connection, { leases: leasesOf(options), monotonicMs, signal });
    await client.set(served, STORED_LAYOUT);
  };
  const forgotten = forget().catch((error: Error) => {
    if (!ended.signal.aborted)
      onNotice(`what earlier builds left is still there: ${error.message}`);
  });
  return async () => {
    ended.abort();
    await forgotten;
  };
}
