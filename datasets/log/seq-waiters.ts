import { RoostError } from "../../errors.ts";

interface Waiter {
  readonly seq: number;
  resolve(): void;
  reject(reason: unknown): void;
}

/** Promises that wait for a log to reach a seq. */
export class SeqWaiters {
  readonly #waiters = new Set<Waiter>();
  #closed = false;

  /** Resolves when `reached` is called with at least `seq`. Rejects when `signal` aborts or on `close`. */
  wait(seq: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closed());
      if (signal?.aborted) return reject(signal.reason);
      const leave = (): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        seq,
        resolve: () => {
          leave();
          resolve();
        },
        reject: (reason) => {
          leave();
          reject(reason);
        },
      };
      const onAbort = (): void => waiter.reject(signal?.reason);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  reached(seq: number): void {
    for (const waiter of [...this.#waiters]) if (waiter.seq <= seq) waiter.resolve();
  }

  close(): void {
    this.#closed = true;
    for (const waiter of [...this.#waiters]) waiter.reject(closed());
  }
}

const closed = (): RoostError => new RoostError("NOT_READY", "the event log was closed");
