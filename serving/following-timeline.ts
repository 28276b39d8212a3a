import type { StoredPost } from "../candidates/post-store.ts";
import type { SocialGraph } from "../candidates/social-graph.ts";
import type { TimelinePosts, TimelineRequest } from "../candidates/timelines/timeline-reader.ts";
import type { TimelineEntry } from "../candidates/timelines/timeline-store.ts";
import { mutingOf } from "./filters/muted-keyword.ts";

/** A page of a following timeline. */
export interface FollowingPage {
  readonly posts: readonly StoredPost[];
  /** Where the next page goes on; undefined at the end. */
  readonly next: TimelineEntry | undefined;
  /** What was done without: `timeline_store` did not answer, `fan_out` is behind. The posts are complete all the same. */
  readonly degraded: readonly ("timeline_store" | "fan_out")[];
}

export type ReadTimeline = (
  userId: string,
  request: TimelineRequest,
) => Promise<Omit<TimelinePosts, "rebuilt">>;

const LEAST_READ = 50;

/** Reads following timelines without what the viewer's keywords mute. */
export function followingTimeline(read: ReadTimeline, graph: SocialGraph) {
  return async (userId: string, request: TimelineRequest): Promise<FollowingPage> => {
    const muting = mutingOf(graph.mutedKeywords(userId));
    const posts: StoredPost[] = [];
    const degraded = new Set<"timeline_store" | "fan_out">();
    let next = request.after;
    do {
      // Not fewer where most is muted: each read begins at the viewer's whole list of follows.
      const limit = Math.max(LEAST_READ, request.limit - posts.length);
      const page = await read(userId, { ...request, limit, after: next });
      if (page.degraded) degraded.add("timeline_store");
      if (page.supplemented) degraded.add("fan_out");
      next = page.next;
      for (const [i, post] of page.posts.entries()) {
        if (muting(post.text) === undefined) posts.push(post);
        if (posts.length < request.limit) continue;
        if (i + 1 < page.posts.length) next = { postId: post.postId, timeMs: post.createdAtMs };
        break;
      }
    } while (posts.length < request.limit && next !== undefined);
    return { posts, next, degraded: [...degraded] };
  };
}
