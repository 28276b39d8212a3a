import { PostStore } from "../../candidates/post-store.ts";
import { SocialGraph } from "../../candidates/social-graph.ts";
import { type Event, EventSchema, type LoggedEvent } from "../../datasets/events.ts";
import { random } from "../../datasets/random.ts";

/** How many times as many users and posts the spaces have. */
export const TIMES = [1, 10, 100] as const;
export const USERS = 1_000;
export const POSTS_PER_USER = 10;
const READERS = 200;
const FOLLOWS = 100;
/** Of everybody else: timelines and relations grow with the users, and a hundred times as many still fit into the machine. */
const OTHER_FOLLOWS = 3;
const DAY_MS = 86_400_000;
export const NOW_MS = 1_760_000_000_000;
export const START_MS = NOW_MS - DAY_MS;

/** Who reads: as many in each space, and each of them follows as many, who write as much. */
export function readersOf(times: number): string[] {
  const apart = (USERS * times) / READERS;
  return Array.from({ length: READERS }, (_, i) => String(1 + i * apart));
}

/** Every user with whom they follow, and then a day of posts. */
export function* eventsOf(times: number, seed: number): Generator<LoggedEvent> {
  const users = USERS * times;
  const draws = random(seed, "growth", times);
  const readers = new Set(readersOf(times));
  let seq = 0;
  const event = (fields: object): LoggedEvent => ({
    ...(EventSchema.parse({ time_ms: START_MS, ...fields }) as Event),
    seq: ++seq,
  });
  for (let i = 1; i <= users; i++) {
    const user_id = String(i);
    yield event({ type: "user_created", user_id });
    const targets = new Set<number>();
    const most = readers.has(user_id) ? FOLLOWS : OTHER_FOLLOWS;
    while (targets.size < most) targets.add(1 + draws.below(users));
    for (const target of targets)
      yield event({ type: "follow", user_id, target_id: String(target) });
  }
  const posts = users * POSTS_PER_USER;
  for (let i = 0; i < posts; i++)
    yield event({
      type: "post_created",
      time_ms: NOW_MS - Math.floor(DAY_MS * (1 - i / posts)),
      post_id: String(1_000_000 + i),
      author_id: String(1 + draws.below(users)),
    });
}

/** Posts and relations in memory. */
export class Space {
  readonly posts = new PostStore();
  readonly graph = new SocialGraph();
  readonly readers: readonly string[];

  readonly times: number;

  constructor(times: number) {
    this.times = times;
    this.readers = readersOf(times);
  }

  readonly apply = (event: Event): void => {
    this.posts.apply(event);
    this.graph.apply(event);
  };
}
