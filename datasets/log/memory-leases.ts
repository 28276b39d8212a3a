import { fenced, type Leases } from "./leases.ts";

interface MemoryLease {
  token: number;
  owner: string;
  endsMs: number;
  position: number;
}

/** What owners of leases within one process share. */
export type MemoryLeaseStore = Map<string, MemoryLease>;

/** Leases within one process: the oracle of the contract suite, and for tests. @param nowMs a clock that only goes on */
export function memoryLeases(
  ttlMs: number,
  nowMs: () => number,
  owner = "",
  leases: MemoryLeaseStore = new Map(),
): Leases {
  const lease = (consumer: string, partition: number) => {
    const key = `${partition} ${consumer}`;
    const found = leases.get(key) ?? {
      token: 0,
      owner: "",
      endsMs: Number.NEGATIVE_INFINITY,
      position: 0,
    };
    leases.set(key, found);
    return found;
  };
  return {
    owner,
    ttlMs,
    async acquire(consumer, partition, above = 0) {
      const held = lease(consumer, partition);
      if (nowMs() < held.endsMs) return undefined;
      held.token = Math.max(held.token, above) + 1;
      held.owner = owner;
      held.endsMs = nowMs() + ttlMs;
      return { token: held.token };
    },
    async holder(consumer, partition) {
      const held = lease(consumer, partition);
      const endsInMs = held.endsMs - nowMs();
      return endsInMs > 0 ? { owner: held.owner, endsInMs } : undefined;
    },
    async renew(consumer, partition, token) {
      const held = lease(consumer, partition);
      if (token !== held.token || nowMs() >= held.endsMs) return false;
      held.endsMs = nowMs() + ttlMs;
      return true;
    },
    async release(consumer, partition, token) {
      const held = lease(consumer, partition);
      if (token === held.token) held.endsMs = Number.NEGATIVE_INFINITY;
    },
    async commitPosition(consumer, partition, seq, token) {
      const held = lease(consumer, partition);
      if (token !== held.token) throw fenced(consumer, partition, token, held.token);
      held.position = seq;
    },
    async position(consumer, partition) {
      return lease(consumer, partition).position;
    },
  };
}
