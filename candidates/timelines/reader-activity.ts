import type { Event } from "../../datasets/events.ts";

const DAY_MS = 86_400_000;

export type ReaderClass = "active" | "semi_active" | "inactive";

export interface ReaderActivityOptions {
  /** Who was here within this time is pushed to at once: most who come back do so within days, a weekend included. */
  readonly activeDays: number;
  /** Who was here within this time is pushed to when there is room; who was not is rebuilt on the next visit: a month's pushes cost more than the milliseconds of a rebuild. */
  readonly semiActiveDays: number;
}

/** When each user last read or acted (impressions, engagements, rankings), in stream time. */
export class ReaderActivity {
  readonly #lastMs = new Map<string, number>();
  readonly #activeMs: number;
  readonly #semiActiveMs: number;

  constructor(options: ReaderActivityOptions = { activeDays: 3, semiActiveDays: 30 }) {
    this.#activeMs = options.activeDays * DAY_MS;
    this.#semiActiveMs = options.semiActiveDays * DAY_MS;
  }

  apply(event: Event): void {
    if (event.type === "impression" || event.type === "engagement" || event.type === "served")
      this.note(event.user_id, event.time_ms);
    else if (event.type === "user_deleted") this.#lastMs.delete(event.user_id);
  }

  /** Takes note of a visit. */
  note(userId: string, timeMs: number): void {
    const before = this.#lastMs.get(userId);
    if (before === undefined || before < timeMs) this.#lastMs.set(userId, timeMs);
  }

  /** When the user was last here, epoch ms; undefined for the inactive. */
  lastMs(userId: string): number | undefined {
    return this.#lastMs.get(userId);
  }

  /** Whoever was not swept is at least semi-active, so that a timeline is given up at one known moment. */
  classOf(userId: string, nowMs: number): ReaderClass {
    const lastMs = this.#lastMs.get(userId);
    if (lastMs === undefined) return "inactive";
    return nowMs - lastMs <= this.#activeMs ? "active" : "semi_active";
  }

  /** Makes one user inactive until the next visit. */
  drop(userId: string): void {
    this.#lastMs.delete(userId);
  }

  /** Makes those inactive who were away for too long, and tells who. */
  sweep(nowMs: number): string[] {
    const gone: string[] = [];
    for (const [userId, lastMs] of this.#lastMs)
      if (nowMs - lastMs > this.#semiActiveMs) gone.push(userId);
    for (const userId of gone) this.#lastMs.delete(userId);
    return gone;
  }

  snapshot(): unknown {
    return { lastMs: this.#lastMs };
  }

  restore(snapshot: unknown): void {
    const { lastMs } = snapshot as { lastMs: Map<string, number> };
    for (const [userId, timeMs] of lastMs) this.#lastMs.set(userId, timeMs);
  }
}
