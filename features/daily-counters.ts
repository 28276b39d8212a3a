import { DecayedCounters, type HalfLife } from "./decayed-counters.ts";

const DAY_MS = 86_400_000;
const dayOf = (timeMs: number): number => Math.floor(timeMs / DAY_MS);

/**
 * Decayed counters that are read as they stood at the last midnight (UTC), as a nightly batch would give them: what
 * happened today is kept apart until the day is over.
 *
 * Layout at offset `at`: [day of the newest event, what earlier days add up to, that day's counts], each of the latter two
 * a block of `DecayedCounters`. An event that comes a day late joins the earlier days, so values do not depend on the
 * order of arrival beyond rounding.
 *
 * Source: the batch aggregates beside the real-time ones in Twitter 2023's aggregation framework
 * (the-algorithm, timelines/data_processing/ml_util/aggregation_framework).
 */
export class DailyCounters {
  readonly slots: number;
  readonly #counters: DecayedCounters;

  /** @param signals indices in SIGNALS that are counted; others are ignored. */
  constructor(signals: readonly number[], halfLife: HalfLife) {
    this.#counters = new DecayedCounters(signals, [halfLife]);
    this.slots = 1 + 2 * this.#counters.slots;
  }

  /** Adds `amount` of `signal` (and `interest` of the signal at index `interestSignal`) at `timeMs`. */
  add(
    state: Float64Array,
    at: number,
    timeMs: number,
    signal: number,
    amount: number,
    interestSignal: number,
    interest: number,
  ): void {
    const earlier = at + 1;
    const running = earlier + this.#counters.slots;
    const day = dayOf(timeMs);
    if (day > (state[at] as number)) {
      this.#counters.move(state, running, earlier);
      state[at] = day;
    }
    const block = day < (state[at] as number) ? earlier : running;
    this.#counters.add(state, block, timeMs, signal, amount, interestSignal, interest);
  }

  /** What was counted before the midnight before `nowMs`, decayed to `nowMs`, by signal. */
  read(state: Float64Array, at: number, nowMs: number, signal: number): number {
    const halfLife = this.#counters.halfLives[0] as HalfLife;
    const slot = this.#counters.slot(signal, halfLife);
    const block = (from: number): number =>
      (state[from + slot] as number) * this.#counters.decayAt(state, from, nowMs, halfLife);
    const earlier = block(at + 1);
    return dayOf(nowMs) > (state[at] as number)
      ? earlier + block(at + 1 + this.#counters.slots)
      : earlier;
  }
}
