import type { Event } from "../../datasets/events.ts";
import { ERASED_AUTHOR } from "../../datasets/log/erased-event.ts";

/** Whether a record goes with the user. */
export function isOf(event: Event, id: string): boolean {
  const named = event as unknown as Record<string, unknown>;
  const wrote = /^post_(created|deleted)$/.test(event.type) && named.author_id === id;
  return named.user_id === id || named.target_id === id || wrote;
}

/** The log of a space in which the user never was: written apart from the code that erases. */
export function without(events: readonly (Event & { seq?: number })[], id: string): Event[] {
  return events
    .filter((event) => !isOf(event, id))
    .map(({ seq: _, ...event }) => {
      const entries = Object.entries(event).filter(([, value]) => value !== id);
      const text = JSON.stringify(Object.fromEntries(entries));
      return JSON.parse(text.replaceAll(`"${id}"`, `"${ERASED_AUTHOR}"`)) as Event;
    });
}
