import type { EventOf } from "../../datasets/events.ts";
import { hash32 } from "../../datasets/random.ts";
import type { FeatureFamily } from "../family.ts";
import { engagementFact } from "../signals.ts";

/** Engaged posts that are kept of one viewer. */
export const RECENT_ENGAGEMENTS = 16;
const WIDTH = 4;
const TIME = 0;
const POST_HASH = 1;
const AUTHOR_HASH = 2;
const INTEREST_AMOUNT = 3;

/** The hash under which towers know a post or an author; never 0, which stands for none. */
export const towerHash = (kind: "post" | "author", id: string): number => hash32(0, kind, id) || 1;

/**
 * The posts that the viewer last acted on, newest first: (time, hash of the post, hash of its author, interest summed over
 * the acts). Hashes, not ids: models embed them, and nobody is named.
 */
export const recentEngagements: FeatureFamily = {
  name: "recent_engagements",
  version: 1,
  entity: "user",
  slots: WIDTH * RECENT_ENGAGEMENTS,
  features: [],
  perRequest: true,
  reads: ["user"],
  onEvent: (state, at, event) => {
    if (event.type !== "engagement") return;
    const interest = engagementFact(event)?.interest ?? 0;
    if (interest !== 0) add(state, at, event, interest);
  },
  read: () => {},
};

function add(
  state: Float64Array,
  at: number,
  event: EventOf<"engagement">,
  interest: number,
): void {
  const post = towerHash("post", event.post_id);
  const end = at + WIDTH * RECENT_ENGAGEMENTS;
  let time = event.time_ms;
  let amount = interest;
  let author = event.author_id === undefined ? 0 : towerHash("author", event.author_id);
  for (let i = at; i < end && state[i] !== 0; i += WIDTH)
    if (state[i + POST_HASH] === post) {
      time = Math.max(time, state[i + TIME] as number);
      amount += state[i + INTEREST_AMOUNT] as number;
      author ||= state[i + AUTHOR_HASH] as number;
      state.copyWithin(i, i + WIDTH, end);
      state.fill(0, end - WIDTH, end);
      break;
    }
  // By time, then by hash: the same list whatever the order of arrival.
  let place = at;
  while (
    place < end &&
    ((state[place + TIME] as number) > time ||
      (state[place + TIME] === time && (state[place + POST_HASH] as number) > post))
  )
    place += WIDTH;
  if (place >= end) return;
  state.copyWithin(place + WIDTH, place, end - WIDTH);
  state[place + TIME] = time;
  state[place + POST_HASH] = post;
  state[place + AUTHOR_HASH] = author;
  state[place + INTEREST_AMOUNT] = amount;
}

/** Calls `visit` with each kept engagement, newest first; `author` 0 = unknown. */
export function eachRecentEngagement(
  state: Float64Array,
  at: number,
  visit: (timeMs: number, post: number, author: number, interest: number) => void,
): void {
  const end = at + WIDTH * RECENT_ENGAGEMENTS;
  for (let i = at; i < end && state[i] !== 0; i += WIDTH)
    visit(
      state[i + TIME] as number,
      state[i + POST_HASH] as number,
      state[i + AUTHOR_HASH] as number,
      state[i + INTEREST_AMOUNT] as number,
    );
}
