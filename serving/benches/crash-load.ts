import type { Event } from "../../datasets/events.ts";
import type { Random } from "../../datasets/random.ts";

export const USERS = 40;
const AUTHORS = 12;
const HEADS = ["favorite", "reply", "repost", "click"] as const;

/** Events of a small busy network, each with an id of its own: every kind that moves a derived state, undone ones too. */
export class CrashLoad {
  readonly #random: Random;
  #events = 0;
  #posts = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  batch(nowMs: number): Event[] {
    return Array.from({ length: 1 + this.#random.below(12) }, () => this.#event(nowMs));
  }

  #event(nowMs: number): Event {
    const r = this.#random;
    // Some come late, as they do.
    const base = { event_id: `e${++this.#events}`, time_ms: nowMs - r.below(5_000) };
    const user_id = String(1 + r.below(USERS));
    const author_id = String(1 + r.below(AUTHORS));
    const post_id = String(1_000 + r.below(this.#posts + 1));
    const other = String(1 + ((Number(user_id) + r.below(USERS - 1)) % USERS));
    const kind = r.next();
    if (kind < 0.3)
      return {
        ...base,
        type: "post_created",
        post_id: String(1_000 + ++this.#posts),
        author_id,
        text: "words",
        topics: [`t${r.below(5)}`],
        language: "en",
        media: "none",
        safety_labels: [],
        attributes: {},
      };
    if (kind < 0.6)
      return {
        ...base,
        type: "engagement",
        user_id,
        post_id,
        author_id,
        head: HEADS[r.below(HEADS.length)] as (typeof HEADS)[number],
        ...(r.next() < 0.2 && { undo: true }),
      };
    if (kind < 0.75)
      return {
        ...base,
        type: "impression",
        user_id,
        post_id,
        author_id,
        request_id: `r${this.#events}`,
        position: r.below(20),
      };
    if (kind < 0.79) return { ...base, type: "post_deleted", post_id, author_id };
    const relations = [
      "follow",
      "follow",
      "follow",
      "unfollow",
      "block",
      "unblock",
      "mute",
    ] as const;
    const type = relations[r.below(relations.length)] as (typeof relations)[number];
    return { ...base, type, user_id, target_id: other };
  }
}
