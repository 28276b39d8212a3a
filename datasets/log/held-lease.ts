import { RoostError } from "../../errors.ts";
import type { Leases } from "./leases.ts";

/** A renewal is due each quarter of a term: two may fail before it ends. */
const TURNS_PER_TTL = 4;

/** A lease that its owner keeps up until it lets go or loses it. */
export interface HeldLease {
  readonly consumer: string;
  readonly partition: number;
  readonly token: number;
  /** Aborts, with the reason, no later than the store lets somebody else have the lease: the owner stops its work. */
  readonly lost: AbortSignal;
  /** @throws FENCED when somebody else has acquired the lease since */
  commitPosition(seq: number): Promise<void>;
  release(): Promise<void>;
}

/**
 * Acquires a lease and renews it in the background; undefined while another owner has it. Its end is reckoned from before
 * each call by this process' own clock, so that a slow answer or a halted process never believes longer than the store.
 * @param monotonicMs a clock that only goes on, as `performance.now`
 * @param above a token that the lease's is to be greater than
 */
export async function holdLease(
  leases: Leases,
  consumer: string,
  partition: number,
  monotonicMs: () => number,
  above = 0,
): Promise<HeldLease | undefined> {
  let endsMs = monotonicMs() + leases.ttlMs;
  const grant = await leases.acquire(consumer, partition, above);
  if (grant === undefined) return undefined;
  const { token } = grant;
  const lost = new AbortController();
  let timer: NodeJS.Timeout;
  const lose = (why: string): void => {
    clearTimeout(timer);
    lost.abort(new RoostError("FENCED", `${consumer}, partition ${partition}: ${why}`));
  };
  const everyMs = leases.ttlMs / TURNS_PER_TTL;
  const again = (): void => {
    // Awake when the time is up, even if the next renewal is not due by then.
    const waitMs = Math.max(0, Math.min(everyMs, endsMs - monotonicMs()));
    timer = setTimeout(() => void renew(), waitMs);
    timer.unref();
  };
  const renew = async (): Promise<void> => {
    const startedMs = monotonicMs();
    if (startedMs >= endsMs) return lose("its time passed without a renewal");
    // The answer may not come: the time ends all the same.
    timer = setTimeout(() => lose("its time passed without a renewal"), endsMs - startedMs);
    timer.unref();
    try {
      const renewed = await leases.renew(consumer, partition, token);
      if (lost.signal.aborted) return;
      if (!renewed) return lose("the lease has ended");
      endsMs = startedMs + leases.ttlMs;
    } catch {
      // Whether it was renewed or not, it lasts until the time that was known.
      if (lost.signal.aborted) return;
    }
    clearTimeout(timer);
    again();
  };
  again();
  return {
    consumer,
    partition,
    token,
    lost: lost.signal,
    commitPosition: (seq) => leases.commitPosition(consumer, partition, seq, token),
    release: async () => {
      lose("it was released");
      await leases.release(consumer, partition, token);
    },
  };
}
