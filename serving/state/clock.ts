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

/**
 * The simulated network's time: it stands at a stored moment when the server starts and runs on at the pace of a clock on
 * the wall. Only events move the stored moment, so that a later start of an untouched demo finds the same hour.
 */
export class WorldClock implements ServerClock {
  readonly kind = "world";
  readonly #path: string;
  readonly #startedAtMs: number;
  readonly #elapsedMs: () => number;
  #storedMs: number;
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
  }

  nowMs(): number {
    return this.#startedAtMs + Math.floor(this.#elapsedMs());
  }

  /** Keeps the moment of an event as where the next start begins. Moments before the kept one are passed over. */
  store(timeMs: number): Promise<void> {
    if (timeMs > this.#storedMs) {
      this.#storedMs = timeMs;
      this.#written = this.#written.then(
        () => this.#write(),
        () => this.#write(),
      );
    }
    return this.#written;
  }

  async #write(): Promise<void> {
    const pending = `${this.#path}.partial`;
    await writeFile(pending, JSON.stringify({ world_ms: this.#storedMs }));
    await rename(pending, this.#path);
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
