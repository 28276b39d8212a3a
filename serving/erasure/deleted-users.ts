import { type LogPlaces, readLog } from "../../datasets/log/reader.ts";

/** Users whose deletion the log tells, unless it tells of an account of the same id that was made later. */
export async function deletedUsers(places: LogPlaces): Promise<string[]> {
  const deleted = new Set<string>();
  const types = ["user_created", "user_deleted"] as const;
  for await (const batch of readLog(places, { order: "time", types }))
    for (const event of batch)
      if (event.type === "user_deleted") deleted.add(event.user_id);
      else if (event.type === "user_created") deleted.delete(event.user_id);
  return [...deleted];
}
