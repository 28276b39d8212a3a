import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import type { ServerClock } from "../http/services.ts";

/** Where a server takes its time from. */
export interface Time {
  /** Epoch milliseconds. */
  readonly wallMs: () => number;
  /** Milliseconds that never go back. */
  readonly monotonicMs: () => number;
}

export const MACHINE_TIME: Time = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** The machine's own time. */
export const wallClock = (wallMs: Time["wallMs"]): ServerClock => ({ kind: "wall", nowMs: wallMs });

/** The moment is written at most this often: a file an event would cost a busy server more than the event. */
const WRITE_EVERY_MS = 1_000;
/** Records of later than this after the stored moment were not written under this clock. */
const RECOVERED_MS = 60_000;

/**
 * The simulated network's time: it stands at a stored moment when the server starts and runs on at the pace of a clock on
 * the wall. Only events move the stored moment, so that a later start of an untouched demo finds the same hour.
 * The file may be a second behind the log when the process is killed; `recover` makes up for that at the next start.
 */
export class WorldClock implements ServerClock {
  readonly kind = "world";
  readonly #path: string;
  readonly #elapsedMs: () => number;
  #startedAtMs: number;
  #storedMs: number;
  #writtenMs: number;
  /** Set while the last write is too recent for another. */
  #resting: NodeJS.Timeout | undefined;
  /** One write at a time: two would rename each other's file away. */
  #written: Promise<void> = Promise.resolve();

  /**
   * @param firstMs where a new world begins
   * @param elapsedMs milliseconds since this clock was made, never going back
   */
  constructor(path: string, firstMs: number, elapsedMs: () => number) {
    this.#path = path;
    this.#elapsedMs = elapsedMs;
    this.#startedAtMs = storedMoment(path) ?? firstMs;
    this.#storedMs = this.#startedAtMs;
    this.#writtenMs = this.#startedAtMs;
  }

  nowMs(): number {
    return this.#startedAtMs + Math.floor(this.#elapsedMs());
  }

  /**
   * Moves the start to the newest of `timesMs`, the last records of the log, if a killed process logged it after its last
   * write. Before any other use.
   */
  async recover(timesMs: Iterable<number>): Promise<void> {
    let newest = this.#storedMs;
    for (const timeMs of timesMs)
      if (timeMs > newest && timeMs <= this.#storedMs + RECOVERED_MS) newest = timeMs;
    this.#startedAtMs = newest;
    await this.store(newest);
  }

  /**
   * Keeps the moment of an event as where the next start begins. Moments before the kept one are passed over. Written at
   * once when nothing was in the last second, else when that second is over or by `close`.
   * @returns the end of the last write that was begun
   */
  store(timeMs: number): Promise<void> {
    if (timeMs > this.#storedMs) {
      this.#storedMs = timeMs;
      if (this.#resting === undefined) this.#begin();
    }
    return this.#written;
  }

  /** Writes what is kept and not yet written. */
  async close(): Promise<void> {
    clearTimeout(this.#resting);
    this.#resting = undefined;
    if (this.#storedMs > this.#writtenMs) this.#enqueue();
    await this.#written;
  }

  #begin(): void {
    this.#enqueue();
    this.#resting = setTimeout(() => {
      this.#resting = undefined;
      if (this.#storedMs > this.#writtenMs) this.#begin();
    }, WRITE_EVERY_MS);
    this.#resting.unref();
  }

  #enqueue(): void {
    const write = (): Promise<void> => this.#write();
    this.#written = this.#written.then(write, write);
    // Whoever stores next, or closes, is told; until then nobody may be listening.
    this.#written.catch(() => {});
  }

  async #write(): Promise<void> {
    const moment = this.#storedMs;
    const pending = `${this.#path}.partial`;
    await writeFile(pending, JSON.stringify({ world_ms: moment }));
    await rename(pending, this.#path);
    this.#writtenMs = moment;
  }
}

function storedMoment(path: string): number | undefined {
  try {
    const { world_ms } = JSON.parse(readFileSync(path, "utf8")) as { world_ms: unknown };
    return typeof world_ms === "number" && Number.isFinite(world_ms) ? world_ms : undefined;
  } catch {
    return undefined;
  }
}
