import type { Event } from "../events.ts";

/** Stands for an author who was erased, where a record of somebody else must name one: no importer or snowflake gives it. */
export const ERASED_AUTHOR = "18446744073709551615";

/** An event without a user: the very same one, the same without mentions of the user, or a tombstone in its place. */
export interface WithoutUser {
  readonly event: Event;
  readonly change: "none" | "redacted" | "removed";
}

const MENTIONS = [
  "author_id",
  "in_reply_to_author_id",
  "repost_of_author_id",
  "quote_of_author_id",
] as const;

/**
 * What remains of `event` when `userId` is erased. Removed: what the user did, what was done to the account, what they
 * were shown, their posts. In records of others the user's id goes: an optional author is left out, an author that a
 * served page must have becomes ERASED_AUTHOR. Ids of posts and free text are left.
 */
export function withoutUser(event: Event, userId: string): WithoutUser {
  if (isAbout(event, userId))
    return { event: { type: "erased", time_ms: event.time_ms }, change: "removed" };
  const fields: Record<string, unknown> = { ...event };
  let redacted = false;
  for (const name of MENTIONS)
    if (fields[name] === userId) {
      delete fields[name];
      redacted = true;
    }
  for (const name of ["items", "candidates"]) {
    const list = fields[name] as readonly { readonly author_id: string }[] | undefined;
    if (!list?.some(({ author_id }) => author_id === userId)) continue;
    fields[name] = list.map((item) =>
      item.author_id === userId ? { ...item, author_id: ERASED_AUTHOR } : item,
    );
    redacted = true;
  }
  return redacted
    ? { event: fields as unknown as Event, change: "redacted" }
    : { event, change: "none" };
}

function isAbout(event: Event, userId: string): boolean {
  if ("user_id" in event && event.user_id === userId) return true;
  if ("target_id" in event && event.target_id === userId) return true;
  return (
    (event.type === "post_created" || event.type === "post_deleted") && event.author_id === userId
  );
}
