import { type Event, EventSchema } from "../../datasets/events.ts";
import { random } from "../../datasets/random.ts";
import { InteractionCounter, type Interactions } from "./interactions.ts";

export const NOW_MS = Date.UTC(2025, 0, 10);

/** A click of a user on a post, `ageHours` before NOW_MS. */
export const click = (user_id: string, post_id: string, ageHours = 1, undo = false): Event =>
  EventSchema.parse({
    type: "engagement",
    time_ms: NOW_MS - ageHours * 3_600_000,
    user_id,
    post_id,
    head: "click",
    ...(undo ? { undo } : {}),
  });

export function interactionsOf(events: readonly Event[], weights = { click: 1 }): Interactions {
  const counter = new InteractionCounter(weights);
  for (const event of events) counter.add(event);
  return counter.finish();
}

/** Users of two tastes: each clicks random posts, nine in ten of them from its own half of the posts. */
export function twoTastes(
  seed: number,
  { users = 60, posts = 40, clicks = 8 } = {},
): { readonly events: Event[]; readonly half: (post: string) => number } {
  const draw = random(seed, "two tastes");
  const events: Event[] = [];
  for (let u = 0; u < users; u++)
    for (let c = 0; c < clicks; c++) {
      const own = draw.next() < 0.9 ? u % 2 : 1 - (u % 2);
      const post = 2 * draw.below(posts / 2) + own;
      events.push(click(String(1 + u), String(1000 + post), 1 + draw.below(100)));
    }
  return { events, half: (post) => Number(post) % 2 };
}
