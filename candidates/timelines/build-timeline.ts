import type { PostStore, StoredPost } from "../post-store.ts";
import type { SocialGraph } from "../social-graph.ts";
import { hides, mayBeShown } from "./following-rule.ts";
import { placeOf, postsByTime } from "./posts-by-time.ts";
import type { PulledAuthors } from "./pulled-authors.ts";
import { type BuiltTimeline, SERVED_ENTRIES, type TimelineEntry } from "./timeline-store.ts";

export interface PushFacts {
  readonly posts: PostStore;
  readonly graph: SocialGraph;
  readonly pulled: PulledAuthors;
}

/** Whether the post belongs into the stored timeline of this follower of its author. */
export function isPushedTo(
  userId: string,
  post: StoredPost,
  { posts, graph, pulled }: PushFacts,
): boolean {
  return (
    !pulled.covers(post.authorId, post.createdAtMs) &&
    post.repostOfAuthorId !== userId &&
    !hides(graph, userId, post.authorId) &&
    mayBeShown(posts, post)
  );
}

/** The timeline that pushes of all kept posts would have made: the newest SERVED_ENTRIES by followed accounts. */
export function buildTimeline(userId: string, facts: PushFacts, nowMs: number): BuiltTimeline {
  const entries: TimelineEntry[] = [];
  let floorMs = -1;
  // Posts whose time is ahead of the clock too: they are pushed as well, and shown when their time has come.
  for (const post of postsByTime(
    facts.posts,
    facts.graph.following(userId),
    Number.MAX_SAFE_INTEGER,
  )) {
    if (!isPushedTo(userId, post, facts)) continue;
    if (entries.length === SERVED_ENTRIES) {
      floorMs = post.createdAtMs;
      break;
    }
    entries.push(placeOf(post));
  }
  return { entries, floorMs, builtAtMs: nowMs };
}
