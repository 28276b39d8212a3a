import { random } from "../random.ts";
import { choosePlaceInConversation } from "./conversations.ts";
import type { FollowGraph } from "./graph.ts";
import { copyContent, drawContent } from "./post-content.ts";
import { placeInTime } from "./post-times.ts";
import { type Posts, REPOST_POST } from "./posts.ts";
import { HOUR_MS, type WorldSettings } from "./settings.ts";
import type { Users } from "./users.ts";

/** Of a hundred posts about one is deleted, within hours. */
const DELETED_SHARE = 0.006;

/** Draws every post of the world: when, by whom, answering what, about what. */
export function createPosts(
  settings: WorldSettings,
  seed: number,
  users: Users,
  graph: FollowGraph,
): Posts {
  const count = settings.posts;
  const { createdMs, author } = placeInTime(settings, seed, users, graph);
  const posts = {
    count,
    createdMs,
    author,
    topic: new Uint8Array(count),
    label: new Uint8Array(count),
    quality: new Float32Array(count),
    expectedQuality: new Float32Array(count),
    controversy: new Float32Array(count),
    expectedControversy: new Float32Array(count),
    toxicity: new Float32Array(count),
    expectedToxicity: new Float32Array(count),
    qualityAttribute: new Float32Array(count),
    controversyAttribute: new Float32Array(count),
    safetyLabel: new Uint8Array(count),
    media: new Uint8Array(count),
    videoMs: new Int32Array(count),
    language: new Uint8Array(count),
    kind: new Uint8Array(count),
    parent: new Int32Array(count).fill(-1),
    root: new Int32Array(count),
    deletedMs: new Float64Array(count).fill(Number.NaN),
    ...indexByAuthor(author, users.authors),
  };
  for (let p = 0; p < count; p++) {
    choosePlaceInConversation(posts, seed, p);
    if (posts.kind[p] === REPOST_POST) copyContent(posts, posts.parent[p]!, p);
    else drawContent(posts, seed, users, p);
    const fate = random(seed, "deleted", p);
    if (fate.next() < DELETED_SHARE) {
      posts.deletedMs[p] = Math.floor(createdMs[p]! + 60_000 + fate.exponential() * 5 * HOUR_MS);
    }
  }
  return posts;
}

function indexByAuthor(
  author: Int32Array,
  authors: number,
): { authorOffsets: Int32Array; byAuthor: Int32Array } {
  const authorOffsets = new Int32Array(authors + 1);
  for (const a of author) authorOffsets[a + 1]!++;
  for (let a = 0; a < authors; a++) authorOffsets[a + 1]! += authorOffsets[a]!;
  const next = authorOffsets.slice(0, authors);
  const byAuthor = new Int32Array(author.length);
  for (let p = 0; p < author.length; p++) {
    const a = author[p]!;
    byAuthor[next[a]!] = p;
    next[a]!++;
  }
  return { authorOffsets, byAuthor };
}
