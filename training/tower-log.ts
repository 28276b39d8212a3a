import type { Event, EventOf } from "../datasets/events.ts";
import { random } from "../datasets/random.ts";
import type { StateView } from "../features/entities.ts";
import { POST_TOWER, USER_TOWER } from "../features/tower-inputs.ts";
import { TowerReader } from "../features/tower-reader.ts";
import { TowerRows } from "../features/tower-rows.ts";

/** Posts older than this are not retrieved. */
const WINDOW_MS = 48 * 3_600_000;
const REMEMBERED_REQUESTS = 20_000;

export interface TowerLogOptions {
  /** Posts drawn uniformly from the window for each request. */
  readonly negativesPerRequest: number;
  readonly seed: number;
}

/**
 * Point-in-time inputs of both towers, noted while a log is replayed: the viewer once a request, the post at each
 * impression, and posts by lot from all that could have been shown then.
 */
export class TowerLog {
  readonly users = new TowerRows(USER_TOWER);
  readonly posts = new TowerRows(POST_TOWER);
  readonly negatives = new TowerRows(POST_TOWER);
  /** Impression row → row of `users`. */
  readonly userOf: number[] = [];
  /** Posts that negatives were drawn from, by request: what log-Q of a negative is. */
  readonly eligible: number[] = [];
  /** Post of each negative, as its number in `postNumber`. */
  readonly negativePost: number[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #reader = new TowerReader();
  readonly #options: TowerLogOptions;
  /** Posts in order of time: those from `#first` on are in the window. */
  readonly #created: { readonly id: string; readonly author: string; readonly timeMs: number }[] =
    [];
  #first = 0;
  /** Request → its row of `users`, of the last two generations: impressions of one request come within minutes. */
  #recent = new Map<string, number>();
  #older = new Map<string, number>();

  constructor(options: TowerLogOptions) {
    this.#options = options;
  }

  /** A dense number of a post. */
  postNumber(postId: string): number {
    let number = this.#numbers.get(postId);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(postId, number);
    }
    return number;
  }

  /** Takes every event of the log in order. */
  observe(event: Event): void {
    if (event.type === "post_created" && event.repost_of_post_id === undefined)
      this.#created.push({ id: event.post_id, author: event.author_id, timeMs: event.time_ms });
  }

  /** Takes the impression that becomes the next training row. */
  row(event: EventOf<"impression">, state: StateView): void {
    const key = `${event.request_id}|${event.user_id}`;
    let user = this.#recent.get(key) ?? this.#older.get(key);
    if (user === undefined) {
      user = this.#reader.user(state, event.user_id, event.time_ms, this.users);
      this.#drawNegatives(event, state, user);
    }
    this.#remember(key, user);
    this.userOf.push(user);
    this.#reader.begin(state, event.time_ms);
    this.#reader.post(state, event.post_id, event.author_id ?? "0", this.posts);
  }

  #remember(key: string, user: number): void {
    if (this.#recent.size >= REMEMBERED_REQUESTS) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, user);
  }

  #drawNegatives(event: EventOf<"impression">, state: StateView, user: number): void {
    const created = this.#created;
    while (
      this.#first < created.length &&
      (created[this.#first]?.timeMs as number) < event.time_ms - WINDOW_MS
    )
      this.#first++;
    const count = created.length - this.#first;
    this.eligible.push(count);
    const draws = random(this.#options.seed, "negatives", user);
    this.#reader.begin(state, event.time_ms);
    for (let i = 0; i < this.#options.negativesPerRequest; i++) {
      const post = count > 0 ? created[this.#first + draws.below(count)] : undefined;
      // Before the first post there is nothing to draw: the shown one stands in.
      const id = post?.id ?? event.post_id;
      this.#reader.post(state, id, post?.author ?? event.author_id ?? "0", this.negatives);
      this.negativePost.push(this.postNumber(id));
    }
  }
}
