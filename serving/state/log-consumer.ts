import type { EventLog } from "../../datasets/log/event-log.ts";
import { followLog } from "../../datasets/log/reader.ts";
import { during } from "../../datasets/phases.ts";
import type { LiveState } from "./live-state.ts";

/** Applies the log to the live state, batch by batch, from where the state stands. */
export class LogConsumer {
  readonly #state: LiveState;
  readonly #places: { readonly segments: string; readonly log: EventLog };
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #failure: unknown;
  #waiting: { seq: number; resolve: () => void }[] = [];

  constructor(state: LiveState, places: { readonly segments: string; readonly log: EventLog }) {
    this.#state = state;
    this.#places = places;
  }

  /**
   * Catches up with what is logged now, then follows new records in the background.
   * @param onFailure told when following stops later
   * @throws what kept it from catching up
   */
  async start(onFailure: (error: unknown) => void): Promise<void> {
    const target = this.#places.log.lastSeq();
    let caughtUp = false;
    this.#running = this.#follow().catch((error: unknown) => {
      this.#failure = error;
      this.#wake();
      if (caughtUp) onFailure(error);
    });
    await this.applied(target);
    if (this.#failure !== undefined) throw this.#failure;
    caughtUp = true;
  }

  /** The last record that the state reflects. */
  get position(): number {
    return this.#state.position;
  }

  /** What stopped the consumer; undefined while it runs. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Resolves when the state reflects `seq`, or when the consumer has stopped. */
  applied(seq: number): Promise<void> {
    if (this.#state.position >= seq || this.#failure !== undefined || this.#stop.signal.aborted)
      return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ seq, resolve }));
  }

  /** Ends after the batch under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#wake();
  }

  async #follow(): Promise<void> {
    for await (const batch of followLog(
      this.#places,
      this.#state.deliveredPosition + 1,
      this.#stop.signal,
    )) {
      await during("apply", () => this.#state.apply(batch));
      this.#wake();
    }
  }

  #wake(): void {
    const ended = this.#failure !== undefined || this.#stop.signal.aborted;
    this.#waiting = this.#waiting.filter(({ seq, resolve }) => {
      if (!ended && this.#state.position < seq) return true;
      resolve();
      return false;
    });
  }
}
