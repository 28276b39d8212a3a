import { type LogPlaces, readLog } from "../../datasets/log/reader.ts";

/**
 * Users whose deletion the log tells, unless it tells of an account of the same id that was made later by its own time, as
 * the social graph has it.
 */
export async function deletedUsers(places: LogPlaces): Promise<string[]> {
  const deletedMs = new Map<string, number>();
  const createdMs = new Map<string, number>();
  const types = ["user_created", "user_deleted"] as const;
  for await (const batch of readLog(places, { order: "seq", types }))
    for (const event of batch) {
      const times = event.type === "user_deleted" ? deletedMs : createdMs;
      if (event.type !== "user_deleted" && event.type !== "user_created") continue;
      times.set(event.user_id, Math.max(event.time_ms, times.get(event.user_id) ?? -Infinity));
    }
  const isGone = ([id, ms]: [string, number]) => ms >= (createdMs.get(id) ?? -Infinity);
  return [...deletedMs].filter(isGone).map(([id]) => id);
}
