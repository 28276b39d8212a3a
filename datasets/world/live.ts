import { WORLD_HEADS } from "../heads.ts";
import type { Random } from "../random.ts";
import { DWELL_SECONDS, dwellSeconds } from "./dwell.ts";
import {
  BLOCK,
  ENGAGEMENT,
  type EventQueue,
  FOLLOW,
  IMPRESSION,
  MUTE,
  UNFOLLOW,
} from "./event-queue.ts";
import { examination } from "./examination.ts";
import type { Population } from "./population.ts";
import {
  BLOCK_AUTHOR,
  DWELL,
  FOLLOW_AUTHOR,
  MUTE_AUTHOR,
  NOT_INTERESTED,
  REPLY,
  REPLY_ENGAGED,
  RESPONSES,
} from "./responses.ts";
import type { Meeting, Truth } from "./truth.ts";

const HEADS = RESPONSES.length;
export const DWELL_HEAD = DWELL;
export const DWELL_SECONDS_HEAD = DWELL + 1;
/** Index into WORLD_HEADS of a response. */
export const worldHead = (response: number): number =>
  response <= DWELL ? response : response + 1;

/** Mean seconds from seeing a post to acting on it, by head; longer where something has to be written. */
const DELAY_SECONDS: Readonly<Record<string, number>> = {
  photo_expand: 1.5,
  click: 2,
  profile_click: 3,
  favorite: 3,
  not_interested: 3,
  video_view: 4,
  repost: 6,
  share: 8,
  mute_author: 8,
  block_author: 9,
  follow_author: 10,
  report: 20,
  quote: 40,
  reply: 45,
};
const delays = Float64Array.from(WORLD_HEADS, (head) => DELAY_SECONDS[head] ?? 0);
const SHORTEST_DELAY_MS = 300;
const LONGEST_DELAY_MS = 10 * 60_000;
const AUTHOR_ANSWERS_AFTER_MS = 40 * 60_000;
/** Scrolling past a slot, looked at or not. */
const SCROLL_MS = 250;
/** How often "not interested" in a followed author ends in unfollowing. */
const UNFOLLOW_CHANCE = 0.25;

/** What a page shows; `propensities` are absent for a deterministic one. */
export interface Slate {
  readonly size: number;
  readonly posts: ArrayLike<number>;
  readonly propensities?: ArrayLike<number>;
}

export const IN_NETWORK_FLAG = 8;
export const POLICY_MASK = 7;

/** Told of each impression with its true response probabilities, valid during the call. */
export type Witness = (user: number, post: number, probabilities: Float64Array) => void;

/**
 * One person scrolls through a page: looks at a slot with its examination probability, stays, acts. Pushes impressions
 * and outcomes with the time at which each becomes known. All probabilities hold as of `meeting`: what happens on the
 * page changes the next one only. Returns when the page is left and how many posts were seen.
 */
export function live(
  population: Population,
  truth: Truth,
  queue: Pick<EventQueue, "push">,
  user: number,
  slate: Slate,
  meeting: Meeting,
  request: number,
  policy: number,
  source: Random,
  witness?: Witness,
): { endMs: number; seen: number } {
  const { posts } = population;
  const probabilities = new Float64Array(HEADS);
  truth.meet(user, meeting);
  let timeMs = meeting.timeMs + SCROLL_MS;
  let seen = 0;
  for (let slot = 0; slot < slate.size; slot++) {
    timeMs += SCROLL_MS;
    if (source.next() >= examination(slot)) continue;
    const post = slate.posts[slot]!;
    const author = posts.author[post]!;
    truth.probabilities(post, probabilities, 0);
    witness?.(user, post, probabilities);
    seen++;
    const isFollowed = meeting.follows(author);
    const flags = policy | (isFollowed ? IN_NETWORK_FLAG : 0);
    queue.push(
      IMPRESSION,
      timeMs,
      user,
      post,
      request,
      slot,
      flags,
      slate.propensities?.[slot] ?? 0,
    );

    const act = (head: number, afterMs: number, value = 0): void =>
      queue.push(ENGAGEMENT, timeMs + Math.ceil(afterMs), user, post, request, head, 0, value);
    const relate = (kind: number, afterMs: number): void =>
      queue.push(kind, timeMs + Math.ceil(afterMs), user, author);

    const stay = Math.max(0.05, dwellSeconds(probabilities[DWELL]!, source.normal()));
    const stayMs = Math.ceil(stay * 1000);
    act(DWELL_SECONDS_HEAD, stayMs, stayMs / 1000);
    if (stayMs > DWELL_SECONDS * 1000) act(DWELL_HEAD, DWELL_SECONDS * 1000);

    for (let h = 0; h < HEADS; h++) {
      if (h === DWELL || h === REPLY_ENGAGED) continue;
      if (source.next() >= probabilities[h]!) continue;
      const head = worldHead(h);
      const wait = Math.min(
        LONGEST_DELAY_MS,
        SHORTEST_DELAY_MS + 1000 * delays[head]! * source.exponential(),
      );
      act(head, wait);
      if (h === REPLY && source.next() < probabilities[REPLY_ENGAGED]! / probabilities[REPLY]!) {
        act(worldHead(REPLY_ENGAGED), wait + 1000 + AUTHOR_ANSWERS_AFTER_MS * source.exponential());
      }
      if (h === FOLLOW_AUTHOR) relate(FOLLOW, wait);
      if (h === MUTE_AUTHOR) relate(MUTE, wait);
      if (h === BLOCK_AUTHOR) {
        relate(BLOCK, wait);
        if (isFollowed) relate(UNFOLLOW, wait);
      }
      if (h === NOT_INTERESTED && isFollowed && source.next() < UNFOLLOW_CHANCE) {
        relate(UNFOLLOW, wait + 5_000);
      }
    }
    timeMs += stayMs;
  }
  return { endMs: timeMs + SCROLL_MS, seen };
}
