import { ELSEWHERE, type EventOf } from "../events.ts";
import { dayStart } from "../split.ts";
import { findColumns, idOf, wholeNumber } from "./columns.ts";
import { readCsv } from "./csv.ts";
import { stem } from "./files.ts";
import { CHINA_OFFSET_MINUTES, type Video } from "./profiles.ts";
import { type FileReport, refuse } from "./report.ts";

const DAY_MS = 86_400_000;
// The lists of KuaiRand-Pure's reduced edition reach over 9–24 April; used when a file's name has no days.
const DEFAULT_DAYS = 16;

export interface History {
  readonly userId: string;
  /** True number of impressions before the log begins. */
  readonly impressions: number;
  /** Oldest first. */
  readonly engagements: readonly EventOf<"engagement">[];
}

/**
 * Reads the lists of what users last watched, liked and watched long before the log begins.
 *
 * The lists have an order but no times except the last one, so times are interpolated: the user's impressions are
 * taken as evenly spread from the first day of the file to `last_time_ms`. Watches become `video_view`, likes `favorite`
 * and long watches `long_view` engagements on the surface `elsewhere`, without a request_id and without an impression: they seed state (who watches
 * what, and how long) and cannot become training rows, since rows are impressions. They become no impressions: clicks
 * and the other signals are unknown, and impressions without them would read as "shown and ignored". Of long watches
 * those are taken that have a place among the listed watches: a rate needs both.
 */
export async function readHistories(
  file: string,
  report: FileReport,
  known: {
    readonly users: ReadonlyMap<string, unknown>;
    readonly videos: ReadonlyMap<string, Video>;
  },
  onHistory: (history: History) => Promise<void> | undefined,
): Promise<void> {
  let columns: Record<string, number> = {};
  let width = 0;
  await readCsv(
    file,
    (header) => {
      width = header.names.length;
      columns = findColumns(
        header,
        report,
        ["user_id", "history_len", "last_time_ms", "watch_seq", "like_seq", "long_watch_seq"],
        [],
      );
    },
    async (records) => {
      for (const { fields } of records) {
        report.read++;
        const at = (name: string): string => fields[columns[name] as number] ?? "";
        const userId = idOf(at("user_id"));
        const impressions = wholeNumber(at("history_len"), 1e9);
        const lastMs = wholeNumber(at("last_time_ms"), 8.64e15);
        if (fields.length !== width) refuse(report, "wrong number of fields");
        else if (userId === undefined) refuse(report, "malformed user_id");
        else if (impressions === undefined) refuse(report, "malformed history_len");
        else if (lastMs === undefined) refuse(report, "malformed last_time_ms");
        else if (!known.users.has(userId)) refuse(report, "unknown user");
        else {
          report.kept++;
          const firstMs = firstDay(file, lastMs);
          const lists = {
            watched: list(at("watch_seq")),
            favorite: list(at("like_seq")),
            long_view: list(at("long_watch_seq")),
          };
          const engagements = timed(lists, impressions, firstMs, lastMs)
            .filter(({ videoId }) => known.videos.has(videoId))
            .map(
              ({ head, videoId, timeMs }): EventOf<"engagement"> => ({
                type: "engagement",
                time_ms: timeMs,
                user_id: userId,
                post_id: videoId,
                author_id: (known.videos.get(videoId) as Video).authorId,
                head,
                surface: ELSEWHERE,
              }),
            );
          await onHistory({ userId, impressions, engagements });
        }
      }
    },
  );
}

interface Timed {
  readonly head: "favorite" | "long_view" | "video_view";
  readonly videoId: string;
  readonly timeMs: number;
}

/**
 * Times for the listed watches, likes and long watches, oldest first. A video that the watch list holds too gets that place;
 * each list is the last 50 of its own kind, so its older part lies before the watch list and is spread backwards at
 * the rate that the matched part shows, never before `firstMs`.
 */
export function timed(
  lists: Record<"watched" | "favorite" | "long_view", readonly string[]>,
  impressions: number,
  firstMs: number,
  lastMs: number,
): Timed[] {
  const { watched } = lists;
  const stepMs = Math.max(0, lastMs - firstMs) / Math.max(impressions, watched.length, 1);
  const placeMs = (back: number): number => Math.round(lastMs - back * stepMs);
  const all: Timed[] = watched.map((videoId, i) => ({
    head: "video_view",
    videoId,
    timeMs: placeMs(watched.length - 1 - i),
  }));
  for (const head of ["favorite", "long_view"] as const) {
    const videos = lists[head];
    const newestFirst: Timed[] = [];
    const place = (back: number): void => {
      const videoId = videos[videos.length - 1 - newestFirst.length] as string;
      newestFirst.push({ head, videoId, timeMs: placeMs(back) });
    };
    // From the newest back: what does not fit the watch list any more is older than it.
    for (let i = watched.length - 1; i >= 0; i--)
      if (watched[i] === videos[videos.length - 1 - newestFirst.length])
        place(watched.length - 1 - i);
    const matched = newestFirst.length;
    // Long views are counted per view, and of the views before the list nothing is known.
    if (head === "long_view") {
      all.push(...newestFirst.reverse());
      continue;
    }
    const older = videos.length - matched;
    const watchesPerMatch = watched.length > 0 ? watched.length / Math.max(matched, 1) : Infinity;
    const room = Math.max(0, impressions - watched.length) / Math.max(older, 1);
    for (let k = 1; k <= older; k++)
      place(Math.max(0, watched.length - 1) + k * Math.min(watchesPerMatch, room));
    all.push(...newestFirst.reverse());
  }
  return all.sort((a, b) => a.timeMs - b.timeMs);
}

const list = (text: string): string[] =>
  text
    .split(" ")
    .map((id) => idOf(id))
    .filter((id) => id !== undefined);

/** First day of the file: its name says month and day (`user_history_4_09_to_4_24`), `last_time_ms` the year. */
function firstDay(file: string, lastMs: number): number {
  const match = /_(\d{1,2})_(\d{1,2})_to_/.exec(stem(file));
  if (match) {
    const year = new Date(lastMs + CHINA_OFFSET_MINUTES * 60_000).getUTCFullYear();
    const [month, day] = [match[1], match[2]].map((part) => (part as string).padStart(2, "0"));
    const start = dayStart(`${year}-${month}-${day}`, CHINA_OFFSET_MINUTES);
    if (start <= lastMs) return start;
  }
  return lastMs - DEFAULT_DAYS * DAY_MS;
}
