import { random } from "../random.ts";
import { type MutablePosts, QUOTE_POST, REPLY_POST, REPOST_POST } from "./posts.ts";
import { HOUR_MS } from "./settings.ts";

/** Share of posts by kind: replies, reposts, quotes; the rest are originals. */
const REPLY_SHARE = 0.2;
const REPOST_SHARE = 0.05;
const QUOTE_SHARE = 0.04;
/** Replies and reposts answer something from this long ago at most. */
const PARENT_MAX_AGE_MS = 6 * HOUR_MS;
const PARENT_TRIES = 6;

/** Replies, reposts and quotes answer a recent post of someone else, preferably in the same language. */
export function choosePlaceInConversation(posts: MutablePosts, seed: number, p: number): void {
  posts.root[p] = p;
  const source = random(seed, "conversation", p);
  const lot = source.next();
  if (lot >= REPLY_SHARE + REPOST_SHARE + QUOTE_SHARE || p === 0) return;
  const kind =
    lot < REPLY_SHARE ? REPLY_POST : lot < REPLY_SHARE + REPOST_SHARE ? REPOST_POST : QUOTE_POST;
  for (let tries = 0; tries < PARENT_TRIES; tries++) {
    const back = 1 + Math.floor(source.exponential() * Math.min(p, 200));
    let parent = p - back;
    if (parent < 0) continue;
    if (posts.kind[parent] === REPOST_POST) parent = posts.parent[parent]!;
    if (posts.createdMs[p]! - posts.createdMs[parent]! > PARENT_MAX_AGE_MS) continue;
    if (posts.createdMs[p] === posts.createdMs[parent]) continue;
    if (posts.author[parent] === posts.author[p]) continue;
    if (posts.deletedMs[parent]! <= posts.createdMs[p]!) continue;
    posts.kind[p] = kind;
    posts.parent[p] = parent;
    if (kind === REPLY_POST) posts.root[p] = posts.root[parent]!;
    return;
  }
}
