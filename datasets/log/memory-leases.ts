import { fenced, type Leases } from "./leases.ts";

/** Leases within one process: the oracle of the contract suite, and for tests. @param nowMs a clock that only goes on */
export function memoryLeases(ttlMs: number, nowMs: () => number): Leases {
  const leases = new Map<string, { token: number; endsMs: number; position: number }>();
  const lease = (consumer: string, partition: number) => {
    const key = `${partition} ${consumer}`;
    const found = leases.get(key) ?? { token: 0, endsMs: Number.NEGATIVE_INFINITY, position: 0 };
    leases.set(key, found);
    return found;
  };
  return {
    ttlMs,
    async acquire(consumer, partition) {
      const held = lease(consumer, partition);
      if (nowMs() < held.endsMs) return undefined;
      held.token++;
      held.endsMs = nowMs() + ttlMs;
      return { token: held.token };
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
