import { RoostError } from "../../errors.ts";

interface Waiter {
  readonly seq: number;
  resolve(): void;
  reject(reason: unknown): void;
}

/** Promises that wait for a log to reach a seq. */
export class SeqWaiters {
  readonly #waiters = new Set<Waiter>();
  #closed: RoostError | undefined;

  /** Resolves when `reached` is called with at least `seq`. Rejects when `signal` aborts or on `close`. */
  wait(seq: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closed);
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

  /** Ends every wait, those to come too; the first reason stands. */
  close(reason = new RoostError("NOT_READY", "the event log was closed")): void {
    this.#closed ??= reason;
    for (const waiter of [...this.#waiters]) waiter.reject(this.#closed);
  }
}
