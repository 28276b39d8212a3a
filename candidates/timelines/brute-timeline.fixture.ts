import type { Event, EventOf } from "../../datasets/events.ts";
import { compareIds } from "../../datasets/ids.ts";

type Created = EventOf<"post_created">;

/** A viewer's following timeline by the rules written down once more, from nothing but the events in their order. */
export function bruteTimeline(events: readonly Event[], viewerId: string): string[] {
  const posts = new Map<string, Created>();
  const deleted = new Set<string>();
  const deletedUsers = new Map<string, number>();
  let edges: [kind: string, from: string, to: string][] = [];
  const has = (kind: string, from: string, to: string): boolean =>
    edges.some((edge) => edge[0] === kind && edge[1] === from && edge[2] === to);
  const cut = (kind: string, from: string, to: string): void => {
    edges = edges.filter((edge) => edge[0] !== kind || edge[1] !== from || edge[2] !== to);
  };
  for (const event of events)
    switch (event.type) {
      case "post_created":
        if (deleted.has(event.post_id) || posts.has(event.post_id)) break;
        if (event.time_ms > (deletedUsers.get(event.author_id) ?? -1))
          posts.set(event.post_id, event);
        break;
      case "post_deleted":
        deleted.add(event.post_id);
        posts.delete(event.post_id);
        break;
      case "user_deleted":
        deletedUsers.set(event.user_id, event.time_ms);
        for (const { post_id, author_id } of [...posts.values()])
          if (author_id === event.user_id) {
            deleted.add(post_id);
            posts.delete(post_id);
          }
        edges = edges.filter(([, from, to]) => from !== event.user_id && to !== event.user_id);
        break;
      case "follow":
      case "mute":
      case "block":
        cut(event.type, event.user_id, event.target_id);
        edges.push([event.type, event.user_id, event.target_id]);
        break;
      case "unfollow":
      case "unmute":
      case "unblock":
        cut(event.type.slice(2), event.user_id, event.target_id);
        break;
    }
  const hidden = (authorId: string | undefined): boolean =>
    authorId !== undefined &&
    (has("mute", viewerId, authorId) ||
      has("block", viewerId, authorId) ||
      has("block", authorId, viewerId));
  const shown = (post: Created): boolean => {
    if (!has("follow", viewerId, post.author_id)) return false;
    if (hidden(post.author_id) || hidden(post.repost_of_author_id)) return false;
    if (hidden(post.quote_of_author_id)) return false;
    if (post.repost_of_post_id !== undefined) return post.repost_of_author_id !== viewerId;
    if (post.in_reply_to_post_id === undefined) return true;
    const parent = posts.get(post.in_reply_to_post_id);
    if (parent === undefined || parent.repost_of_post_id !== undefined) return false;
    if (parent.in_reply_to_post_id === undefined) return true;
    return (
      parent.in_reply_to_post_id === (post.conversation_id ?? post.post_id) &&
      has("follow", viewerId, post.in_reply_to_author_id as string)
    );
  };
  return [...posts.values()]
    .filter(shown)
    .sort((a, b) => b.time_ms - a.time_ms || compareIds(a.post_id, b.post_id))
    .map((post) => post.post_id);
}
