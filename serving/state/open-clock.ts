import { hasDataset, readManifest } from "../../datasets/dataset.ts";
import type { EventLog } from "../../datasets/log/event-log.ts";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import type { ServerClock } from "../http/services.ts";
import type { Settings } from "../settings.ts";
import { type Time, WorldClock, wallClock } from "./clock.ts";

/** As many records as a server can write between two writes of its clock. */
const CLOCK_RECORDS = 10_000;

/** The clock of the settings; a world's goes on where the log ends. */
export async function openClock(
  settings: Settings,
  dir: DataDir,
  time: Time,
  log: EventLog,
  opened: (() => unknown)[],
): Promise<ServerClock> {
  if (settings.clock === "wall") return wallClock(time.wallMs);
  const firstMs = hasDataset(dir.path) ? readManifest(dir.path).held_out_from_ms : undefined;
  const startedAt = time.monotonicMs();
  const clock = new WorldClock(
    dir.at("clock.json"),
    firstMs ?? time.wallMs(),
    () => time.monotonicMs() - startedAt,
  );
  opened.push(() => clock.close());
  const fromSeq = Math.max(log.firstSeq(), log.lastSeq() - CLOCK_RECORDS + 1);
  const tail = await log.read({ fromSeq, limit: CLOCK_RECORDS });
  await clock.recover(tail.map(({ time_ms }) => time_ms));
  return clock;
}
