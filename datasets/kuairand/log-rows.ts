import type { Event, EventOf } from "../events.ts";
import type { HeadName } from "../heads.ts";
import { hash32 } from "../random.ts";
import { findColumns, idOf, wholeNumber } from "./columns.ts";
import { readCsv } from "./csv.ts";
import { stem } from "./files.ts";
import type { Video } from "./profiles.ts";
import { type FileReport, refuse } from "./report.ts";

/** KuaiRand's binary signals and the heads that they are. Source: column descriptions at https://kuairand.com. */
export const SIGNALS = [
  ["is_click", "click"],
  ["is_like", "favorite"],
  ["is_follow", "follow_author"],
  ["is_comment", "reply"],
  ["is_forward", "repost"],
  ["is_hate", "not_interested"],
  ["long_view", "long_view"],
  ["is_profile_enter", "profile_click"],
] as const satisfies readonly (readonly [string, HeadName])[];

// A day: what `dwell_seconds` may hold.
const MAX_PLAY_MS = 86_400_000;

/** One impression with what came of it. */
export interface LogRow {
  readonly impression: EventOf<"impression">;
  readonly engagements: readonly EventOf<"engagement">[];
  readonly durationMs: number | undefined;
  readonly exactDuplicate: boolean;
}

/**
 * Turns log rows into impressions and engagements. An impression is known at `time_ms`; everything that the row says
 * about its outcome is known when the play has ended, at `time_ms + play_time_ms`. So `play_time_ms` is the dwell
 * engagement's value and never the impression's `viewed_ms`, which a feature of the impression could read.
 * The request id is file and row number: KuaiRand does not say which rows were one page, and rows that are equal in
 * every field stay two impressions.
 */
export async function readLogRows(
  file: string,
  report: FileReport,
  known: {
    readonly users: ReadonlyMap<string, unknown>;
    readonly videos: ReadonlyMap<string, Video>;
    /** Hashes of the rows of all files so far. */
    readonly seen: Set<number>;
  },
  onRow: (row: LogRow) => Promise<void> | undefined,
): Promise<void> {
  let columns: Record<string, number> = {};
  let width = 0;
  // Request ids hold 64 characters.
  const prefix = stem(file).slice(0, 48);
  await readCsv(
    file,
    (header) => {
      width = header.names.length;
      columns = findColumns(
        header,
        report,
        ["user_id", "video_id", "time_ms", "play_time_ms", ...SIGNALS.map(([column]) => column)],
        ["duration_ms", "is_rand", "tab"],
        ["date", "hourmin"],
      );
    },
    async (records) => {
      for (const { number, fields } of records) {
        report.read++;
        const row =
          fields.length === width
            ? parse(fields, columns, `${prefix}:${number}`, known)
            : "wrong number of fields";
        if (typeof row === "string") {
          refuse(report, row);
          continue;
        }
        report.kept++;
        const key = rowHash(fields);
        const exactDuplicate = known.seen.has(key);
        if (!exactDuplicate) known.seen.add(key);
        const full = onRow({ ...row, exactDuplicate });
        if (full !== undefined) await full;
      }
    },
  );
}

/** The row, or why it is refused. */
function parse(
  fields: readonly string[],
  columns: Record<string, number>,
  requestId: string,
  known: { users: ReadonlyMap<string, unknown>; videos: ReadonlyMap<string, Video> },
): Omit<LogRow, "exactDuplicate"> | string {
  const at = (name: string): string | undefined => fields[columns[name] as number];
  const userId = idOf(at("user_id"));
  if (userId === undefined) return "malformed user_id";
  const videoId = idOf(at("video_id"));
  if (videoId === undefined) return "malformed video_id";
  const timeMs = wholeNumber(at("time_ms"), 8e15);
  if (timeMs === undefined) return "malformed time_ms";
  const playMs = wholeNumber(at("play_time_ms"), MAX_PLAY_MS);
  if (playMs === undefined) return "malformed play_time_ms";
  const heads: HeadName[] = [];
  for (const [column, head] of SIGNALS) {
    const signal = wholeNumber(at(column), 1);
    if (signal === undefined) return `malformed ${column}`;
    if (signal === 1) heads.push(head);
  }
  if (!known.users.has(userId)) return "unknown user";
  const video = known.videos.get(videoId);
  if (video === undefined) return "unknown video";

  const tab = at("tab");
  const surface = tab === undefined || tab === "" ? {} : { surface: tab.slice(0, 200) };
  const subject = { user_id: userId, post_id: videoId, author_id: video.authorId };
  const outcome = (head: HeadName): EventOf<"engagement"> => ({
    type: "engagement",
    time_ms: timeMs + playMs,
    ...subject,
    head,
    request_id: requestId,
    ...surface,
  });
  const engagements = heads.map(outcome);
  if (playMs > 0) engagements.push({ ...outcome("dwell_seconds"), value: playMs / 1000 });
  return {
    impression: {
      type: "impression",
      time_ms: timeMs,
      request_id: requestId,
      ...subject,
      position: 0,
      policy: at("is_rand") === "1" ? "random" : "standard",
      ...surface,
    },
    engagements,
    durationMs: wholeNumber(at("duration_ms"), MAX_PLAY_MS),
  };
}

/** 53 bits: among 10 million rows a false duplicate has a chance of 1 in 180. */
function rowHash(fields: readonly string[]): number {
  const text = fields.join(",");
  return hash32(1, text) * 0x200000 + (hash32(2, text) >>> 11);
}

/** The events of a row in the order in which they are logged. */
export const eventsOf = (row: LogRow): Event[] => [row.impression, ...row.engagements];
