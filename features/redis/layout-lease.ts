import { type KeptLease, keepLease } from "../../datasets/log/kept-lease.ts";
import { redisLeases } from "../../datasets/log/redis-leases.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { RoostError } from "../../errors.ts";
import { FeatureKeys, STORED_LAYOUT } from "./feature-keys.ts";
import { storedState } from "./stored-state.ts";

/** The lease that a prefix' one server holds. */
export const SERVER_LEASE = "features";
/** The lease of the one writer of a layout's state: the server, or who makes the state ready for a server to come. */
export const layoutLease = (layout: string): string => `${SERVER_LEASE}:${layout}`;
const PARTITION = 0;

export interface LayoutLeaseOptions {
  /** Tells this process from every other; a server holds its lease by the same name. */
  readonly owner: string;
  readonly monotonicMs: () => number;
  /** Told once when another process has it. */
  readonly onLost: (error: RoostError) => void;
  readonly ttlMs?: number;
  readonly layout?: string;
  /** Waits for a killed owner only, and not for one that may be ending. */
  readonly onlyForDead?: boolean;
}

/**
 * Holds the lease to write a layout's state. Its token is greater than that of every owner before, whatever became of the
 * count of tokens. An owner that was killed is waited for until its lease ends.
 * @throws FENCED saying who has it and what is there, REDIS_UNAVAILABLE
 */
export async function holdLayout(
  connection: RedisConnection,
  {
    owner,
    monotonicMs,
    onLost,
    ttlMs,
    onlyForDead = false,
    layout = STORED_LAYOUT,
  }: LayoutLeaseOptions,
): Promise<KeptLease> {
  const keys = new FeatureKeys(connection.target.prefix, layout);
  const leases = redisLeases(connection, { owner, ...(ttlMs !== undefined && { ttlMs }) });
  const lease = await keepLease(leases, layoutLease(layout), PARTITION, {
    patienceMs: PATIENT_TERMS * leases.ttlMs,
    onlyForDead,
    monotonicMs,
    onLost,
    above: async () => (await storedState(connection, keys)).token,
  });
  if (lease !== undefined) return lease;
  const [holder, server, { position }] = await Promise.all([
    leases.holder(layoutLease(layout), PARTITION),
    leases.holder(SERVER_LEASE, PARTITION),
    storedState(connection, keys),
  ]);
  const served = holder !== undefined && holder.owner === server?.owner;
  const what =
    position === 0
      ? `${served ? "a server" : "another process"} builds this layout now: wait for its end`
      : served
        ? `a server writes this layout already, at position ${position}: nothing to materialise`
        : `another process brings this layout to the log's end, from position ${position}: wait for its end`;
  throw new RoostError("FENCED", `${what} (layout ${layout}, prefix ${connection.target.prefix})`);
}

/** Of a killed owner's lease there is at most one left; what is held after more is renewed. */
const PATIENT_TERMS = 1.25;
