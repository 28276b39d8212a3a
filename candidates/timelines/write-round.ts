import type { StoredPost } from "../post-store.ts";
import { buildTimeline, isPushedTo, type PushFacts } from "./build-timeline.ts";
import type { Slice } from "./delivery-queue.ts";
import { hides } from "./following-rule.ts";
import { placeOf } from "./posts-by-time.ts";
import type { ReaderActivity } from "./reader-activity.ts";
import { type Push, type Removal, SERVED_ENTRIES, type TimelineStore } from "./timeline-store.ts";

export interface WritingParts extends PushFacts {
  readonly activity: ReaderActivity;
  readonly store: TimelineStore;
}

/** Something to be done to one timeline, in the log's order; without `seq` no record asks for it. */
export type Step = { readonly userId: string; readonly seq: number | undefined } & (
  | { readonly kind: "remove"; readonly postIds: readonly string[] }
  | { readonly kind: "insert"; readonly authorId: string }
  | { readonly kind: "forget" | "rebuild" }
);

/**
 * Writes what was planned, by kinds and not by turns: each looks at the graph as it is now, so the last word on a timeline is the same.
 * Harmless to repeat as a whole.
 */
export async function writeRound(
  parts: WritingParts,
  steps: readonly Step[],
  slices: readonly Slice[],
  nowMs: number,
): Promise<void> {
  const { store, activity, posts, graph } = parts;
  const removals: Removal[] = [];
  const forgotten: string[] = [];
  const rebuilt = new Set<string>();
  const pushes: Push[] = [];
  for (const step of steps) {
    if (step.kind === "remove") removals.push(step);
    else if (step.kind === "forget") forgotten.push(step.userId);
    else if (activity.lastMs(step.userId) === undefined) continue;
    else if (step.kind !== "insert") rebuilt.add(step.userId);
    else if (graph.following(step.userId).has(step.authorId)) {
      const found = postsBy(step.authorId, parts);
      if (found.length > SERVED_ENTRIES) rebuilt.add(step.userId);
      else
        for (const post of found)
          if (isPushedTo(step.userId, post, parts))
            pushes.push({ entry: placeOf(post), userIds: [step.userId] });
    }
  }
  for (const { delivery, from, to } of slices) {
    const { kind, entry, authorId, userIds } = delivery;
    if (kind === "remove") {
      const postIds = [entry.postId];
      for (let i = from; i < to; i++) removals.push({ userId: userIds[i] as string, postIds });
    } else if (posts.get(entry.postId) !== undefined) {
      const followers = graph.followers(authorId);
      // Unfollowed, muted, blocked or given up since it was planned.
      const wanted = userIds
        .slice(from, to)
        .filter(
          (userId) =>
            followers.has(userId) &&
            activity.lastMs(userId) !== undefined &&
            !hides(graph, userId, authorId),
        );
      pushes.push({ entry, userIds: wanted });
    }
  }
  if (removals.length > 0) await store.remove(removals);
  if (forgotten.length > 0) await store.forget(forgotten);
  for (const userId of rebuilt)
    if (activity.lastMs(userId) !== undefined)
      await store.rebuild(userId, buildTimeline(userId, parts, nowMs));
  if (pushes.length > 0) await store.push(pushes);
}

/** All kept posts by an author. */
export function postsBy(authorId: string, { posts }: Pick<PushFacts, "posts">): StoredPost[] {
  const { originals, secondary } = posts.byAuthor(authorId);
  return [...originals.posts, ...secondary.posts];
}
