/** Half-lives of the counters in milliseconds. Source: Twitter 2023's aggregation framework (30 min real-time, 1 day, 50 days batch). */
export const HALF_LIFE_MS = { "30m": 1_800_000, "1d": 86_400_000, "50d": 4_320_000_000 } as const;
export type HalfLife = keyof typeof HALF_LIFE_MS;
/** ln 2 / half-life: exp(−rate · Δt) = 2^(−Δt/h), and exp is several times as fast as a power of two. */
export const DECAY_RATE = {
  "30m": Math.LN2 / HALF_LIFE_MS["30m"],
  "1d": Math.LN2 / HALF_LIFE_MS["1d"],
  "50d": Math.LN2 / HALF_LIFE_MS["50d"],
} as const satisfies Record<HalfLife, number>;

/**
 * A block of exponentially decayed counters inside an entity's packed vector.
 *
 * Layout at offset `at`: [last time in ms, signal 0 × each half-life, signal 1 × each half-life …]. All counters of the
 * block stand decayed to the one last time; 0 there means that nothing was counted yet, so an event of time 0 counts as of
 * millisecond 1.
 * A late event adds 2^(−Δt/h), so the value never depends on arrival order beyond rounding.
 *
 * Source: decay at read, value · 2^(−Δt/half-life): twitter/the-algorithm, RealTimeAggregateTimeDecay.scala.
 */
export class DecayedCounters {
  readonly slots: number;
  readonly signals: readonly number[];
  readonly halfLives: readonly HalfLife[];
  readonly #rates: Float64Array;
  readonly #column: Int16Array;

  /** @param signals indices in SIGNALS that this block counts; others are ignored. */
  constructor(signals: readonly number[], halfLives: readonly HalfLife[]) {
    this.signals = signals;
    this.halfLives = halfLives;
    this.slots = 1 + signals.length * halfLives.length;
    this.#rates = Float64Array.from(halfLives, (name) => DECAY_RATE[name]);
    this.#column = new Int16Array(64).fill(-1);
    signals.forEach((signal, i) => {
      this.#column[signal] = 1 + i * halfLives.length;
    });
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
    const column = this.#column[signal] as number;
    const interestColumn = interest === 0 ? -1 : (this.#column[interestSignal] as number);
    if (column < 0 && interestColumn < 0) return;
    const lives = this.#rates.length;
    const last = state[at] as number;
    const time = timeMs > 0 ? timeMs : 1;
    const elapsed = last === 0 ? 0 : time - last;
    if (last === 0 || elapsed > 0) state[at] = time;
    for (let l = 0; l < lives; l++) {
      const factor = elapsed === 0 ? 1 : Math.exp(-Math.abs(elapsed) * (this.#rates[l] as number));
      if (elapsed > 0) {
        for (let s = at + 1 + l; s < at + this.slots; s += lives) {
          if (state[s] !== 0) state[s] = (state[s] as number) * factor;
        }
      }
      const scale = elapsed < 0 ? factor : 1;
      if (column > 0) state[at + column + l] = (state[at + column + l] as number) + amount * scale;
      if (interestColumn > 0)
        state[at + interestColumn + l] =
          (state[at + interestColumn + l] as number) + interest * scale;
    }
  }

  /** Adds the block at `from` to the one at `to`, decayed to the later of their times, and empties it. */
  move(state: Float64Array, from: number, to: number): void {
    const [last, other] = [state[to] as number, state[from] as number];
    if (other === 0) return;
    const lives = this.#rates.length;
    const elapsed = last === 0 ? 0 : other - last;
    state[to] = Math.max(last, other);
    for (let l = 0; l < lives; l++) {
      const factor = Math.exp(-Math.abs(elapsed) * (this.#rates[l] as number));
      for (let s = 1 + l; s < this.slots; s += lives) {
        const [old, more] = [state[to + s] as number, state[from + s] as number];
        state[to + s] = elapsed >= 0 ? old * factor + more : old + more * factor;
      }
    }
    state.fill(0, from, from + this.slots);
  }

  /** The slot of a signal and half-life relative to the block's offset. */
  slot(signal: number, halfLife: HalfLife): number {
    const column = this.#column[signal] as number;
    const life = this.halfLives.indexOf(halfLife);
    if (column < 0 || life < 0) throw new RangeError(`counter ${signal}/${halfLife} is not kept`);
    return column + life;
  }

  /** What a counter of `halfLife` is multiplied by when it is read at `nowMs` (1 when the state is newer). */
  decayAt(state: Float64Array, at: number, nowMs: number, halfLife: HalfLife): number {
    return decaySince(state[at] as number, nowMs, DECAY_RATE[halfLife]);
  }
}

/** 2^(−Δt/h) for a `rate` of `DECAY_RATE`; 1 when `lastMs` is the later one. */
export function decaySince(lastMs: number, nowMs: number, rate: number): number {
  const elapsed = nowMs - lastMs;
  return elapsed > 0 ? Math.exp(-elapsed * rate) : 1;
}

/** The natural logarithm of a smoothed rate over its prior: ln((c + kπ) / ((n + k)π)); 0 = as the average. NaN without a prior. */
export function logRateRatio(
  count: number,
  impressions: number,
  prior: number,
  strength: number,
): number {
  if (!(prior > 0)) return Number.NaN;
  return Math.log((Math.max(0, count) + strength * prior) / ((impressions + strength) * prior));
}
