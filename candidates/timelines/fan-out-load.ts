export type LoadState = "normal" | "busy" | "overloaded";

/** How the last 100 ms went; counts are of timelines to be written. */
export interface LoadLook {
  /** Monotonic clock. */
  readonly nowMs: number;
  /** Arrived and written since the last look. */
  readonly arrived: number;
  readonly written: number;
  /** Waiting now, what is still in the log included. */
  readonly waiting: number;
}

export interface FanOutLoadOptions {
  /** Waiting time from which fan-out is busy: posts are to show within seconds. */
  readonly busyS: number;
  /** Waiting time from which writers are asked to wait. */
  readonly overloadedS: number;
  /** Waiting timelines from which writers are asked to wait whatever the rate: they take memory. */
  readonly mostWaiting: number;
  /** Rate that is assumed before one was measured. */
  readonly assumedPerS: number;
}

export const FAN_OUT_LOAD: FanOutLoadOptions = {
  busyS: 1,
  overloadedS: 5,
  mostWaiting: 1_000_000,
  assumedPerS: 20_000,
};

/** What a state means for the rounds of fan-out. Larger rounds cost fewer waits for Redis, and hold up the event loop longer. */
const ROUNDS: Record<LoadState, { readonly size: number; readonly deferredShare: number }> = {
  normal: { size: 512, deferredShare: 1 },
  busy: { size: 2048, deferredShare: 0.2 },
  // Not nothing: what waits for ever would keep the position in the log from moving.
  overloaded: { size: 4096, deferredShare: 0.05 },
};
const STATES: readonly LoadState[] = ["normal", "busy", "overloaded"];
/** A state is left when the waiting time stays below this part of what made it be entered … */
const LEAVE_AT = 0.5;
/** … for this long. */
const LEAVE_AFTER_MS = 2_000;
/** Shares that were cut come back by this much a second, so that a return does not make the next burst. */
const RETURN_PER_S = 0.1;
/** Weight of a new look in the smoothed rates: half of it is of the last 300 ms. */
const SMOOTHING = 0.2;
const MOST_RETRY_AFTER_S = 60;

/**
 * Tells from arrivals, waiting work and completions how much fan-out can take on. Pure: it acts on nothing and has no clock.
 *
 * By Little's law L = λW: over time the work in a system (L) is the rate at which it passes through (λ) times how long it stays (W).
 * With L waiting and μ written a second, what arrives now stays W = L/μ: the completion time that the states look at. It needs no
 * stamp on any piece of work, and rises at once when a burst arrives, long before the first late piece comes out. μ is measured
 * only while work is waiting: an idle system completes what arrives, not what it could.
 *
 * Source: Little (1961), "A proof for the queuing formula L = λW", Operations Research 9(3).
 */
export class FanOutLoad {
  readonly #options: FanOutLoadOptions;
  #state: LoadState = "normal";
  #reason = "";
  #lastMs: number | undefined;
  #arrivedPerS = 0;
  #writtenPerS: number;
  #waiting = 0;
  #calmSinceMs: number | undefined;
  #deferredShare = 1;
  #admitShare = 1;

  constructor(options: FanOutLoadOptions = FAN_OUT_LOAD) {
    this.#options = options;
    this.#writtenPerS = options.assumedPerS;
  }

  get state(): LoadState {
    return this.#state;
  }

  /** Why the state is as it is; empty for normal. */
  get reason(): string {
    return this.#reason;
  }

  get arrivedPerS(): number {
    return this.#arrivedPerS;
  }

  get writtenPerS(): number {
    return this.#writtenPerS;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** How long what arrives now will wait: L/μ. */
  get completionS(): number {
    return this.#waiting === 0 ? 0 : this.#waiting / Math.max(1, this.#writtenPerS);
  }

  /** Timelines written at once. */
  get roundSize(): number {
    return ROUNDS[this.#state].size;
  }

  /** Part of a round that what can wait may take, 0–1. */
  get deferredShare(): number {
    return this.#deferredShare;
  }

  /** Part of the writes that is let in, 0–1: 0 when overloaded, back to 1 by and by. */
  get admitShare(): number {
    return this.#admitShare;
  }

  /** What a refused writer is told: seconds, at least 1, until the wait is expected to be short again. */
  get retryAfterS(): number {
    const seconds = Math.ceil(this.completionS - this.#options.busyS);
    return Math.min(MOST_RETRY_AFTER_S, Math.max(1, seconds));
  }

  look({ nowMs, arrived, written, waiting }: LoadLook): void {
    const sinceS = (nowMs - (this.#lastMs ?? nowMs - 100)) / 1000;
    if (sinceS <= 0) return;
    this.#lastMs = nowMs;
    const held = this.#waiting > 0 && waiting > 0;
    this.#waiting = waiting;
    this.#arrivedPerS += SMOOTHING * (arrived / sinceS - this.#arrivedPerS);
    // Completions while work waited tell the capacity; at other times only that it is no less.
    if (held || written / sinceS > this.#writtenPerS)
      this.#writtenPerS += SMOOTHING * (written / sinceS - this.#writtenPerS);
    this.#move(nowMs);
    const step = RETURN_PER_S * sinceS;
    const { deferredShare } = ROUNDS[this.#state];
    this.#deferredShare = Math.min(deferredShare, this.#deferredShare + step);
    this.#admitShare = this.#nextAdmitShare(step);
  }

  /** After an overload the share finds the rate that can be borne: it grows while the wait is short and falls while it is long. */
  #nextAdmitShare(step: number): number {
    if (this.#state === "overloaded") return 0;
    if (this.#admitShare === 1) return 1;
    const grown = this.#admitShare + (this.completionS < this.#options.busyS ? step : -step);
    return Math.min(1, Math.max(0, grown));
  }

  #move(nowMs: number): void {
    const now = STATES.indexOf(this.#state);
    const asked = STATES.indexOf(this.#judge(1));
    if (asked > now) {
      this.#enter(asked, this.#why());
      return;
    }
    // One state at a time, and only after a calm while.
    if (STATES.indexOf(this.#judge(LEAVE_AT)) >= now) this.#calmSinceMs = undefined;
    else {
      this.#calmSinceMs ??= nowMs;
      if (nowMs - this.#calmSinceMs >= LEAVE_AFTER_MS)
        this.#enter(now - 1, now === 1 ? "" : `returning: ${this.#why()}`);
    }
  }

  #enter(state: number, reason: string): void {
    this.#state = STATES[state] as LoadState;
    this.#reason = reason;
    this.#calmSinceMs = undefined;
  }

  #judge(part: number): LoadState {
    const { busyS, overloadedS, mostWaiting } = this.#options;
    if (this.#waiting >= part * mostWaiting || this.completionS >= part * overloadedS)
      return "overloaded";
    return this.completionS >= part * busyS ? "busy" : "normal";
  }

  #why(): string {
    if (this.#waiting >= this.#options.mostWaiting) return `${this.#waiting} timelines wait`;
    const rate = Math.round(this.#writtenPerS);
    return `${this.#waiting} timelines wait at ${rate} written a second: ${this.completionS.toFixed(1)} s`;
  }
}
