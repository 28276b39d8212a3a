import { setTimeout as delay } from "node:timers/promises";
import { RoostError } from "../../errors.ts";
import { type HeldLease, holdLease } from "./held-lease.ts";
import type { Leases } from "./leases.ts";

/** How often a lease that another process may have is looked at. */
const LOOK_MS = 250;

const AWAY = { endsInMs: 0 };

/** A lease that is acquired again after it ran out, as long as nobody else had it by then. */
export interface KeptLease {
  /** What its first grant gave: whoever had the lease meanwhile has a greater one, and its state refuses this one. */
  readonly token: number;
  release(): Promise<void>;
}

export interface KeepOptions {
  /** How long another owner is waited for, who may be ending, or have been killed: its lease ends by itself then. */
  readonly patienceMs: number;
  /** An owner that is seen to renew its lease is waited for no longer. */
  readonly onlyForDead?: boolean;
  /** A clock that only goes on, as `performance.now`. */
  readonly monotonicMs: () => number;
  /** Told once when another owner has it: this process must stop its work. */
  readonly onLost: (error: RoostError) => void;
  /** A token that this one is to be greater than; asked for each time. */
  readonly above?: () => Promise<number>;
}

/**
 * Holds a lease until it is released or somebody else has it; undefined when another owner keeps it.
 * @throws NOT_REPLICATED when no replica had the grant in all that time; what asking for it throws
 */
export async function keepLease(
  leases: Leases,
  consumer: string,
  partition: number,
  { patienceMs, onlyForDead = false, monotonicMs, onLost, above }: KeepOptions,
): Promise<KeptLease | undefined> {
  const acquire = async (): Promise<HeldLease | undefined> =>
    holdLease(leases, consumer, partition, monotonicMs, await above?.());
  const until = monotonicMs() + patienceMs;
  /** A replica that stalls may be in sync in a moment. */
  const tryOnce = (): Promise<HeldLease | undefined> =>
    acquire().catch((error: RoostError) => {
      if (error.code !== "NOT_REPLICATED" || monotonicMs() >= until) throw error;
      return undefined;
    });
  let lease = await tryOnce();
  let leastMs = Number.POSITIVE_INFINITY;
  while (lease === undefined && monotonicMs() < until) {
    const { endsInMs } = (onlyForDead && (await leases.holder(consumer, partition))) || AWAY;
    if (endsInMs > leastMs) return undefined;
    leastMs = endsInMs;
    await delay(LOOK_MS);
    lease = await tryOnce();
  }
  if (lease === undefined) return undefined;
  const { token } = lease;
  let released = false;
  // It runs out while the store is gone.
  const takeAgain = async (): Promise<void> => {
    while (!released) {
      const again = await acquire().catch(() => null);
      if (released) return void again?.release().catch(() => {});
      if (again === undefined && (await isAnother()))
        return onLost(new RoostError("FENCED", `${consumer}: another process has it by now`));
      if (again) return watch(again);
      await delay(LOOK_MS);
    }
  };
  /** The grant that ran out here lasts longer in the store: its last renewal may have come there and its answer not here. */
  const isAnother = async (): Promise<boolean> => {
    const holder = await leases.holder(consumer, partition).catch(() => undefined);
    return holder !== undefined && holder.owner !== leases.owner;
  };
  const watch = (held: HeldLease): void => {
    lease = held;
    held.lost.addEventListener("abort", () => void takeAgain(), { once: true });
  };
  watch(lease);
  return {
    token,
    release: async () => {
      released = true;
      await lease?.release().catch(() => {});
    },
  };
}
