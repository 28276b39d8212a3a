import type { Event } from "../events.ts";
import { DAY_MS, HOUR_MS, WORLD_START_MS } from "./settings.ts";
import type { TargetRow } from "./target-row.ts";

/** Dwell is not something that a person decides to do. */
const PASSIVE: ReadonlySet<string> = new Set(["dwell", "dwell_seconds", "reply_engaged_by_author"]);
const AWAY_DAYS = 7;
const EVENING = [18, 23] as const;
const NIGHT = [1, 6] as const;

/** Measures what the log's own records say: feed it every event in order. */
export class LogTargets {
  readonly #days: number;
  /** Day index of the last visit, by user; negative before the log. */
  readonly #lastVisit = new Map<string, number>();
  readonly #joined = new Map<string, number>();
  readonly #offsetMs = new Map<string, number>();
  readonly #engagements = new Map<string, number>();
  readonly #posts = new Map<string, number>();
  readonly #visitors: number[];
  readonly #newOrBack: number[];
  /** offset → impressions by local hour */
  readonly #rhythm = new Map<number, Float64Array>();
  #impressions = 0;
  #withPropensity = 0;
  #randomised = 0;
  #outOfNetwork = 0;
  #postCount = 0;
  #safety = 0;

  constructor(days: number) {
    this.#days = days;
    this.#visitors = new Array<number>(days).fill(0);
    this.#newOrBack = new Array<number>(days).fill(0);
  }

  observe(event: Event): void {
    switch (event.type) {
      case "user_created": {
        const away = event.attributes.days_since_visit_at_start;
        if (away !== undefined) this.#lastVisit.set(event.user_id, -away);
        this.#joined.set(event.user_id, dayOf(event.time_ms));
        this.#offsetMs.set(event.user_id, (event.utc_offset_minutes ?? 0) * 60_000);
        break;
      }
      case "post_created":
        this.#postCount++;
        if (event.safety_labels.length > 0) this.#safety++;
        this.#posts.set(event.author_id, (this.#posts.get(event.author_id) ?? 0) + 1);
        break;
      case "engagement":
        if (PASSIVE.has(event.head)) break;
        this.#engagements.set(event.user_id, (this.#engagements.get(event.user_id) ?? 0) + 1);
        break;
      case "impression":
        this.#impression(event);
        break;
      default:
    }
  }

  rows(): TargetRow[] {
    const newShares = this.#visitors.map((n, day) => this.#newOrBack[day]! / n);
    const perDay = [...this.#posts.values()].map((n) => n / this.#days).sort((a, b) => a - b);
    const at = (share: number): number => perDay[Math.floor(share * (perDay.length - 1))]!;
    return [
      {
        name: "engagements by the most active 10 %",
        value: shareOfTop([...this.#engagements.values()], 0.1, this.#joined.size),
        min: 0.5,
        format: "percent",
      },
      {
        name: "new or returning, least day",
        value: Math.min(...newShares),
        min: 0.15,
        max: 0.25,
        format: "percent",
        note: "of the day's visitors: joined that day or back after > 7 days",
      },
      {
        name: "new or returning, most day",
        value: Math.max(...newShares),
        min: 0.15,
        max: 0.25,
        format: "percent",
      },
      {
        name: "posts a day, p99 ÷ median author",
        value: at(0.99) / at(0.5),
        min: 5,
        format: "number",
        note: `median ${at(0.5).toFixed(1)} a day, most ${at(1).toFixed(0)}`,
      },
      {
        name: "evening ÷ night, flattest zone",
        value: Math.min(...[...this.#rhythm.values()].map(eveningToNight)),
        min: 3,
        format: "number",
        note: "impressions by local hour, 18–23 against 1–6",
      },
      { name: "impressions", value: this.#impressions, format: "number" },
      {
        name: "out-of-network impressions",
        value: this.#outOfNetwork / this.#impressions,
        format: "percent",
      },
      {
        name: "impressions with slot propensity",
        value: this.#withPropensity / this.#impressions,
        min: 1,
        format: "percent",
      },
      {
        name: "randomised share",
        value: this.#randomised / this.#impressions,
        min: 0.05,
        max: 0.1,
        format: "percent",
      },
      {
        name: "posts with safety label",
        value: this.#safety / this.#postCount,
        min: 0.02,
        max: 0.04,
        format: "percent",
      },
    ];
  }

  #impression(event: Extract<Event, { type: "impression" }>): void {
    this.#impressions++;
    if (event.propensity !== undefined) {
      this.#withPropensity++;
      if (event.propensity < 0.5) this.#randomised++;
    }
    if (event.in_network === false) this.#outOfNetwork++;

    const offsetMs = this.#offsetMs.get(event.user_id) ?? 0;
    let hours = this.#rhythm.get(offsetMs);
    if (!hours) {
      hours = new Float64Array(24);
      this.#rhythm.set(offsetMs, hours);
    }
    hours[Math.floor((event.time_ms + offsetMs) / HOUR_MS) % 24]!++;

    const day = dayOf(event.time_ms);
    const last = this.#lastVisit.get(event.user_id);
    if (last === day) return;
    this.#visitors[day]!++;
    const hasJustJoined = this.#joined.get(event.user_id) === day;
    if (hasJustJoined || (last !== undefined && day - last > AWAY_DAYS)) this.#newOrBack[day]!++;
    this.#lastVisit.set(event.user_id, day);
  }
}

function dayOf(timeMs: number): number {
  return Math.floor((timeMs - WORLD_START_MS) / DAY_MS);
}

/** Share of the sum that the largest `share` of `population` things hold; those not in `values` have 0. */
function shareOfTop(values: number[], share: number, population: number): number {
  const sorted = values.sort((a, b) => b - a);
  const total = sorted.reduce((a, b) => a + b, 0);
  const top = sorted.slice(0, Math.round(share * population));
  return top.reduce((a, b) => a + b, 0) / total;
}

function eveningToNight(hours: Float64Array): number {
  const sum = (from: number, to: number): number =>
    hours.subarray(from, to).reduce((a, b) => a + b, 0) / (to - from);
  return sum(...EVENING) / sum(...NIGHT);
}
