import type { FanOutPosition } from "./timeline-store.ts";

interface Unfinished {
  /** Pieces of work of this record that are not done. */
  left: number;
  /** Newest event time of the records before it. */
  readonly timeBeforeMs: number;
}

/** Which records of the log are dealt with, when their work is finished in any order. */
export class FanOutProgress {
  /** By seq, ascending. */
  readonly #unfinished = new Map<number, Unfinished>();
  #last: FanOutPosition;

  constructor(start: FanOutPosition) {
    this.#last = start;
  }

  /** The last record taken, finished or not. */
  get taken(): number {
    return this.#last.seq;
  }

  /** Takes the next record with one piece of work: its planning. */
  begin(seq: number, timeMs: number): void {
    this.#unfinished.set(seq, { left: 1, timeBeforeMs: this.#last.timeMs });
    this.#last = { seq, timeMs: Math.max(timeMs, this.#last.timeMs) };
  }

  add(seq: number, pieces = 1): void {
    (this.#unfinished.get(seq) as Unfinished).left += pieces;
  }

  done(seq: number, pieces = 1): void {
    const unfinished = this.#unfinished.get(seq) as Unfinished;
    unfinished.left -= pieces;
    if (unfinished.left === 0) this.#unfinished.delete(seq);
  }

  /** All records up to here are finished. */
  get position(): FanOutPosition {
    const [oldest] = this.#unfinished;
    if (oldest === undefined) return this.#last;
    return { seq: oldest[0] - 1, timeMs: oldest[1].timeBeforeMs };
  }
}
