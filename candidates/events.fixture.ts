import { type Event, type EventOf, EventSchema } from "../datasets/events.ts";

/** Noon of a day: what the tests of this folder call now. */
export const NOON = Date.UTC(2025, 4, 5, 12);
export const MINUTE = 60_000;
export const HOUR = 3_600_000;

type Given<T extends Event["type"]> = Partial<EventOf<T>>;

export const post = (postId: string, authorId: string, more: Given<"post_created"> = {}): Event =>
  EventSchema.parse({
    type: "post_created",
    time_ms: NOON - HOUR,
    post_id: postId,
    author_id: authorId,
    ...more,
  });

export const postDeleted = (postId: string, timeMs = NOON): Event => ({
  type: "post_deleted",
  time_ms: timeMs,
  post_id: postId,
});

export const userDeleted = (userId: string, timeMs = NOON): Event => ({
  type: "user_deleted",
  time_ms: timeMs,
  user_id: userId,
});

export const engagement = (
  postId: string,
  head: string,
  timeMs: number,
  more: Given<"engagement"> = {},
): Event =>
  EventSchema.parse({
    type: "engagement",
    time_ms: timeMs,
    user_id: "900",
    post_id: postId,
    head,
    ...more,
  });

export const impression = (userId: string, postId: string, timeMs: number): Event =>
  EventSchema.parse({
    type: "impression",
    time_ms: timeMs,
    request_id: "q",
    user_id: userId,
    post_id: postId,
    position: 0,
  });

export const served = (userId: string, postIds: readonly string[], timeMs: number): Event =>
  EventSchema.parse({
    type: "served",
    time_ms: timeMs,
    request_id: "q",
    user_id: userId,
    product: "for_you",
    log_position: 0,
    experiments: [],
    weights_checksum: "w",
    model_versions: {},
    policy: "p",
    deterministic: true,
    items: postIds.map((id) => ({
      post_id: id,
      author_id: "1",
      score: 1,
      source: "in_network",
      in_network: true,
    })),
  });

type RelationType = "follow" | "unfollow" | "block" | "unblock" | "mute" | "unmute";
export const relation = (type: RelationType, userId: string, targetId: string): Event =>
  EventSchema.parse({ type, time_ms: NOON, user_id: userId, target_id: targetId });
