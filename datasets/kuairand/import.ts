import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { RoostError } from "../../errors.ts";
import { segmentsDir, writeManifest } from "../dataset.ts";
import type { Event } from "../events.ts";
import { KUAIRAND_HEADS } from "../heads.ts";
import { readSegments, SegmentWriter } from "../log/segments.ts";
import { findKuaiRandFiles } from "./files.ts";
import { readHistories } from "./history.ts";
import { eventsOf, readLogRows } from "./log-rows.ts";
import { CHINA_OFFSET_MINUTES, readUsers, readVideos, type Video } from "./profiles.ts";
import type { FileReport, ImportReport } from "./report.ts";

const DAY_MS = 86_400_000;

export interface ImportOptions {
  /** Holds the CSV files of any KuaiRand edition, plain or gzip. */
  readonly dir: string;
  /** Becomes the data set: `segments/`, `import.json` (the report), `dataset.json`. Must not exist or be empty. */
  readonly out: string;
  /** Take the history lists too. Default true. */
  readonly history?: boolean;
}

/**
 * Imports KuaiRand as a data set whose seq, from 1, is the order of time. All or nothing: `out` appears when it is
 * complete.
 * Ids keep their numbers. KuaiRand numbers users and authors apart, so an author is another being than the user with
 * the same number.
 * @throws BAD_DATASET when a file is missing, cut short or lacks a column
 * @throws BAD_ARGUMENT when `out` holds something
 */
export async function importKuaiRand(options: ImportOptions): Promise<ImportReport> {
  const files = findKuaiRandFiles(options.dir);
  const out = path.resolve(options.out);
  if (existsSync(out) && readdirSync(out).length > 0)
    throw new RoostError("BAD_ARGUMENT", `--out ${out} is not empty; name a new directory`);
  const [staged, ordered] = [`${out}.staged`, `${out}.ordered`];
  for (const dir of [staged, ordered]) rmSync(dir, { recursive: true, force: true });
  mkdirSync(path.dirname(out), { recursive: true });
  try {
    const report = emptyReport(out);
    await stage(files, staged, report, options.history ?? true);
    const facts = await order(staged, segmentsDir(ordered), report);
    writeFileSync(path.join(ordered, "import.json"), `${JSON.stringify(report, null, 2)}\n`);
    await writeManifest(ordered, {
      format: 1,
      source: "kuairand",
      heads: [...KUAIRAND_HEADS],
      from_ms: facts.firstImpressionMs,
      to_ms: facts.lastMs,
      utc_offset_hours: CHINA_OFFSET_MINUTES / 60,
      // Some seven impressions a viewer: running rates would say more about the last of them than about the viewer.
      viewer_rates: "daily",
      events: Object.values(report.events).reduce((sum, count) => sum + count, 0),
      impressions: report.impressions,
      made_with: {
        files: report.files.map((file) => file.file).join(" "),
        history: String(options.history ?? true),
      },
      checksum: facts.checksum,
    });
    if (existsSync(out)) rmSync(out, { recursive: true });
    renameSync(ordered, out);
    return report;
  } finally {
    for (const dir of [staged, ordered]) rmSync(dir, { recursive: true, force: true });
  }
}

/** Writes all events in file order. */
async function stage(
  files: ReturnType<typeof findKuaiRandFiles>,
  dir: string,
  report: ImportReport,
  withHistory: boolean,
): Promise<void> {
  const writer = new SegmentWriter(dir);
  const users = new Map<string, Record<string, number>>();
  const videos = new Map<string, Video>();
  const firstSeenMs = new Map<string, number>();
  try {
    for (const file of files.users) await readUsers(file, fileReport(report, file), users);
    for (const file of files.videos) await readVideos(file, fileReport(report, file), videos);
    for (const file of withHistory ? files.histories : [])
      await readHistories(file, fileReport(report, file), { users, videos }, (history) => {
        (users.get(history.userId) as Record<string, number>).history_impressions =
          history.impressions;
        const first = history.engagements[0];
        if (first) firstSeenMs.set(history.userId, first.time_ms);
        report.history_engagements += history.engagements.length;
        return writer.appendAll(history.engagements);
      });
    const seen = new Set<number>();
    let firstMs = Number.POSITIVE_INFINITY;
    for (const file of files.logs)
      await readLogRows(file, fileReport(report, file), { users, videos, seen }, (row) => {
        const { impression } = row;
        const video = videos.get(impression.post_id) as Video;
        video.videoMs ??= row.durationMs;
        if (row.exactDuplicate) report.exact_duplicates++;
        if (impression.time_ms < (video.uploadedMs ?? 0)) report.impressions_before_upload++;
        report.impressions++;
        for (const { head } of row.engagements)
          report.engagements[head] = (report.engagements[head] ?? 0) + 1;
        const day = chinaDay(impression.time_ms);
        report.days[day] = (report.days[day] ?? 0) + 1;
        firstMs = Math.min(firstMs, impression.time_ms);
        return appendRow(writer, eventsOf(row));
      });
    if (report.impressions === 0)
      throw new RoostError("BAD_DATASET", "no log row could be kept; see the files' columns");
    const firstDayMs = startOfDay(firstMs);
    await writer.appendAll(userEvents(users, firstSeenMs, firstDayMs));
    await writer.appendAll(postEvents(videos, firstDayMs, report));
  } catch (error) {
    await writer.close().catch(() => {});
    throw error;
  }
  await writer.close();
  report.users = users.size;
  report.posts = videos.size;
}

function appendRow(writer: SegmentWriter, events: Event[]): Promise<void> | undefined {
  // Awaiting nothing costs a turn per row; only a full segment gives a promise.
  let full: Promise<void> | undefined;
  for (const event of events) full = writer.append(event) ?? full;
  return full;
}

/**
 * Users exist from the day on which they registered: `register_days` before the log begins. KuaiRand does not say
 * when it counted them; a user seen earlier exists from just before that.
 */
function* userEvents(
  users: ReadonlyMap<string, Record<string, number>>,
  firstSeenMs: ReadonlyMap<string, number>,
  firstDayMs: number,
): Generator<Event> {
  for (const [user_id, attributes] of users) {
    const registered = firstDayMs - (attributes.register_days ?? 0) * DAY_MS;
    const seen = firstSeenMs.get(user_id) ?? Number.POSITIVE_INFINITY;
    yield {
      type: "user_created",
      time_ms: Math.max(0, Math.min(registered, seen - 1)),
      user_id,
      languages: [],
      utc_offset_minutes: CHINA_OFFSET_MINUTES,
      attributes,
    };
  }
}

function* postEvents(
  videos: ReadonlyMap<string, Video>,
  firstDayMs: number,
  report: ImportReport,
): Generator<Event> {
  for (const video of videos.values()) {
    if (video.uploadedMs === undefined) report.posts_without_date++;
    yield {
      type: "post_created",
      time_ms: video.uploadedMs ?? firstDayMs,
      post_id: video.id,
      author_id: video.authorId,
      text: "",
      topics: video.topics,
      media: "video",
      ...(video.videoMs === undefined ? {} : { video_ms: video.videoMs }),
      safety_labels: [],
      attributes: video.attributes,
    };
  }
}

/** Copies the staged events in (time, seq) order, so that their new seq is the order in which things became known. */
async function order(
  staged: string,
  dir: string,
  report: ImportReport,
): Promise<{ firstImpressionMs: number; lastMs: number; checksum: string }> {
  const writer = new SegmentWriter(dir);
  let firstImpressionMs = Number.POSITIVE_INFINITY;
  let lastMs = 0;
  try {
    for await (const batch of readSegments(staged, { order: "time" })) {
      for (const { type, time_ms } of batch) {
        report.events[type] = (report.events[type] ?? 0) + 1;
        if (type === "impression") firstImpressionMs = Math.min(firstImpressionMs, time_ms);
        lastMs = time_ms;
      }
      await writer.appendAll(batch);
    }
  } catch (error) {
    await writer.close().catch(() => {});
    throw error;
  }
  const segments = await writer.close();
  report.segments = segments.length;
  report.bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const hash = createHash("sha256");
  for (const { sha256 } of segments) hash.update(sha256);
  return { firstImpressionMs, lastMs, checksum: hash.digest("hex") };
}

const OFFSET_MS = CHINA_OFFSET_MINUTES * 60_000;
const startOfDay = (ms: number): number =>
  Math.floor((ms + OFFSET_MS) / DAY_MS) * DAY_MS - OFFSET_MS;
const chinaDay = (ms: number): string => new Date(ms + OFFSET_MS).toISOString().slice(0, 10);

function fileReport(report: ImportReport, file: string): FileReport {
  const entry = { file: path.basename(file), read: 0, kept: 0, refused: {}, unused_columns: [] };
  report.files.push(entry);
  return entry;
}

const emptyReport = (out: string): ImportReport => ({
  out,
  files: [],
  exact_duplicates: 0,
  users: 0,
  posts: 0,
  posts_without_date: 0,
  impressions_before_upload: 0,
  impressions: 0,
  engagements: {},
  history_engagements: 0,
  days: {},
  events: {},
  segments: 0,
  bytes: 0,
});
