import type { TimelineEntry } from "./timeline-store.ts";

/** One post to be put into, or taken out of, the timelines of many. */
export interface Delivery {
  readonly kind: "push" | "remove";
  readonly entry: TimelineEntry;
  readonly authorId: string;
  readonly userIds: readonly string[];
  /** The log record that asks for it. */
  readonly seq: number;
}

/** A part of a delivery's users. */
export interface Slice {
  readonly delivery: Delivery;
  readonly from: number;
  readonly to: number;
}

const MINUTE_MS = 60_000;
/** Readers who were here within these times stand in lines of their own, so that ordering by activity costs no sorting. */
const LINES_MS = [
  MINUTE_MS,
  10 * MINUTE_MS,
  60 * MINUTE_MS,
  6 * 60 * MINUTE_MS,
  24 * 60 * MINUTE_MS,
  Number.POSITIVE_INFINITY,
];
export const DEFERRED_LINE = LINES_MS.length;

/** The line of an active reader who was here `idleMs` ago. */
export function lineOf(idleMs: number): number {
  let line = 0;
  while (idleMs > (LINES_MS[line] as number)) line++;
  return line;
}

/** Deliveries by how lately their readers were here, first come first served within a line; the last line is for what can wait. */
export class DeliveryQueue {
  readonly #lines = Array.from({ length: DEFERRED_LINE + 1 }, () => new Line());

  /** Timelines that wait to be written, those that can wait too. */
  get size(): number {
    let size = 0;
    for (const line of this.#lines) size += line.size;
    return size;
  }

  get deferred(): number {
    return (this.#lines[DEFERRED_LINE] as Line).size;
  }

  add(line: number, delivery: Delivery): void {
    if (delivery.userIds.length > 0) (this.#lines[line] as Line).add(delivery);
  }

  /**
   * Takes up to `n` timelines' worth, the most lately active readers first.
   * @param deferred how many of them are kept for what can wait; it gets what the others leave anyway, up to that number
   */
  take(n: number, deferred: number): Slice[] {
    const slices: Slice[] = [];
    const last = this.#lines[DEFERRED_LINE] as Line;
    let left = n - Math.min(deferred, last.size);
    for (const line of this.#lines) {
      if (line === last) break;
      left -= line.take(left, slices);
    }
    last.take(Math.min(deferred, last.size), slices);
    return slices;
  }
}

class Line {
  #deliveries: Delivery[] = [];
  /** First delivery that is not all taken, and how many of its users are. */
  #head = 0;
  #taken = 0;
  size = 0;

  add(delivery: Delivery): void {
    this.#deliveries.push(delivery);
    this.size += delivery.userIds.length;
  }

  take(n: number, into: Slice[]): number {
    let left = Math.min(n, this.size);
    const took = left;
    while (left > 0) {
      const delivery = this.#deliveries[this.#head] as Delivery;
      const from = this.#taken;
      const to = Math.min(delivery.userIds.length, from + left);
      into.push({ delivery, from, to });
      left -= to - from;
      this.#taken = to;
      if (to < delivery.userIds.length) break;
      this.#head++;
      this.#taken = 0;
    }
    this.size -= took;
    if (this.#head > 1024 && this.#head * 2 > this.#deliveries.length) {
      this.#deliveries = this.#deliveries.slice(this.#head);
      this.#head = 0;
    }
    return took;
  }
}
