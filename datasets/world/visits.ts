import { random } from "../random.ts";
import { timeOfDay } from "./rhythm.ts";
import { DAY_MS, WORLD_START_MS, type WorldSettings } from "./settings.ts";
import { NEWCOMER, REGULAR, type Users } from "./users.ts";

/** Pages asked for in one go have this mean. */
const PAGES_PER_SESSION = 2.5;
/** How much likelier a regular visits than somebody who just joined or came back. */
const STILL_NEW = 0.5;
/** No visit begins in the last minutes of the log: its outcomes would be cut off. */
const LAST_START_MS = 10 * 60_000;
const AFTER_JOINING_MS = 120_000;

/** Calls `begin(startMs, pages)` for every session of this person on this day. */
export function planVisits(
  settings: WorldSettings,
  seed: number,
  users: Users,
  user: number,
  day: number,
  begin: (startMs: number, pages: number) => void,
): void {
  const kind = users.kind[user]!;
  const first = users.firstDay[user]!;
  if (day < first) return;
  const source = random(seed, "visits", user, day);
  const activity = users.activity[user]!;
  const often = 1 - Math.exp(-0.95 * activity ** 0.6);
  const chance = kind === REGULAR ? often : day === first ? 1 : STILL_NEW * often;
  if (source.next() >= chance) return;

  const mean = settings.pagesPerDay * activity;
  let budget = Math.min(settings.maxPagesPerDay, Math.max(1, source.poisson(mean)));
  const midnight = WORLD_START_MS + day * DAY_MS;
  let isJoining = kind === NEWCOMER && day === first;
  while (budget > 0) {
    const drawn = 1 + Math.floor(source.exponential() * (PAGES_PER_SESSION - 0.5));
    const pages = Math.min(budget, drawn);
    budget -= pages;
    const start = isJoining
      ? users.createdMs[user]! + AFTER_JOINING_MS
      : midnight +
        Math.min(timeOfDay(users.utcOffsetMinutes[user]!, source), DAY_MS - LAST_START_MS);
    isJoining = false;
    if (kind !== NEWCOMER || start > users.createdMs[user]!) begin(start, pages);
  }
}
