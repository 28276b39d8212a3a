import type { Event } from "../datasets/events.ts";
import type { Random } from "../datasets/random.ts";
import { interestOfHead } from "../features/signals.ts";

/** Posts older than this are not retrieved. */
const WINDOW_MS = 48 * 3_600_000;
/** Welcome acts that are remembered: hours of them, so that a post comes by what it is now. */
const REMEMBERED_ACTS = 20_000;
/** An act may be on a post that has left the window since. */
const TRIES = 8;

/** A post that could have been shown. */
export interface DrawablePost {
  readonly id: string;
  readonly author: string;
  readonly timeMs: number;
}

/**
 * Posts by lot at a moment of a log: uniformly from all that could be shown then, or in proportion to the acts on them of
 * late. The latter are the posts among which retrieval has to tell: most of the former no viewer would miss.
 * Source: Yang et al. (2020), "Mixed negative sampling", §3.3, both kinds in one list.
 */
export class PostLots {
  /** Posts in order of time: those from `#first` on are in the window. */
  readonly #created: DrawablePost[] = [];
  #first = 0;
  readonly #byId = new Map<string, DrawablePost>();
  /** The posts of the last welcome acts, a ring. */
  readonly #acted: DrawablePost[] = [];
  #acts = 0;

  /** Takes every event of the log in order. */
  observe(event: Event): void {
    if (event.type === "post_created" && event.repost_of_post_id === undefined) {
      const post = { id: event.post_id, author: event.author_id, timeMs: event.time_ms };
      this.#created.push(post);
      this.#byId.set(post.id, post);
    } else if (event.type === "engagement" && !event.undo && interestOfHead(event.head) > 0) {
      const post = this.#byId.get(event.post_id);
      if (post !== undefined) this.#acted[this.#acts++ % REMEMBERED_ACTS] = post;
    }
  }

  /** Moves the window's end to `nowMs`, which never falls; returns the number of posts in it. */
  begin(nowMs: number): number {
    const created = this.#created;
    while (this.#first < created.length) {
      const { id, timeMs } = created[this.#first] as DrawablePost;
      if (timeMs >= nowMs - WINDOW_MS) break;
      this.#byId.delete(id);
      this.#first++;
    }
    return created.length - this.#first;
  }

  /** One of the window; undefined when it is empty. */
  uniform(draws: Random): DrawablePost | undefined {
    const count = this.#created.length - this.#first;
    return count > 0 ? this.#created[this.#first + draws.below(count)] : undefined;
  }

  /** The post of one of the last welcome acts; one of the window where nobody acted on any that is still in it. */
  engaged(draws: Random): DrawablePost | undefined {
    for (let i = 0; i < TRIES && this.#acted.length > 0; i++) {
      const post = this.#acted[draws.below(this.#acted.length)] as DrawablePost;
      if (this.#byId.get(post.id) === post) return post;
    }
    return this.uniform(draws);
  }
}
