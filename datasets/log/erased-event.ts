import type { Event } from "../events.ts";

/** Stands for an author who was erased, where a record of somebody else must name one: no importer or snowflake gives it. */
export const ERASED_AUTHOR = "18446744073709551615";

/** An event without some users: the very same one, the same without mentions of them, or a tombstone in its place. */
export interface WithoutUsers {
  readonly event: Event;
  /** Whose record it was, when it is removed. */
  readonly removed: string | undefined;
  /** Who is named in it no more. */
  readonly redacted: readonly string[];
}

const MENTIONS = [
  "author_id",
  "in_reply_to_author_id",
  "repost_of_author_id",
  "quote_of_author_id",
] as const;

/**
 * What remains of `event` when `users` are erased. Removed: what a user did, what was done to the account, what they were
 * shown, their posts. In records of others the user's id goes: an optional author is left out, an author that a served page
 * must have becomes ERASED_AUTHOR. Ids of posts and free text are left.
 */
export function withoutUsers(event: Event, users: ReadonlySet<string>): WithoutUsers {
  const removed = concerned(event).find((id) => users.has(id));
  if (removed !== undefined)
    return { event: { type: "erased", time_ms: event.time_ms }, removed, redacted: [] };
  const fields: Record<string, unknown> = { ...event };
  const redacted = new Set<string>();
  for (const name of MENTIONS) {
    const id = fields[name];
    if (typeof id !== "string" || !users.has(id)) continue;
    delete fields[name];
    redacted.add(id);
  }
  for (const name of ["items", "candidates"]) {
    const list = fields[name] as readonly { readonly author_id: string }[] | undefined;
    const authors = list?.map(({ author_id }) => author_id).filter((id) => users.has(id)) ?? [];
    if (authors.length === 0) continue;
    for (const id of authors) redacted.add(id);
    fields[name] = list?.map((item) =>
      users.has(item.author_id) ? { ...item, author_id: ERASED_AUTHOR } : item,
    );
  }
  return {
    event: redacted.size > 0 ? (fields as unknown as Event) : event,
    removed,
    redacted: [...redacted],
  };
}

/** Those whom a record is about: it goes with any of them. */
function concerned(event: Event): string[] {
  const ids: string[] = [];
  if ("user_id" in event) ids.push(event.user_id);
  if ("target_id" in event) ids.push(event.target_id);
  if (event.type === "post_created") ids.push(event.author_id);
  else if (event.type === "post_deleted" && event.author_id !== undefined)
    ids.push(event.author_id);
  return ids;
}
