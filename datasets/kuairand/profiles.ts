import { dayStart } from "../split.ts";
import { type Encoding, USER_COLUMNS, VIDEO_COLUMNS } from "./attributes.ts";
import { findColumns, idOf, wholeNumber } from "./columns.ts";
import { readCsv } from "./csv.ts";
import { type FileReport, refuse } from "./report.ts";

/** KuaiRand's dates and hours are China time. */
export const CHINA_OFFSET_MINUTES = 480;
// 24 hours: longer is a broken number. The longest video of KuaiRand-Pure has 20 minutes.
const MAX_VIDEO_MS = 86_400_000;

export interface Video {
  readonly id: string;
  readonly authorId: string;
  readonly topics: string[];
  readonly attributes: Record<string, number>;
  /** First millisecond of the upload day; undefined when the file has no date. */
  readonly uploadedMs: number | undefined;
  videoMs: number | undefined;
}

/** Reads user features: id → attributes. A second row for the same user is refused. */
export async function readUsers(
  file: string,
  report: FileReport,
  users: Map<string, Record<string, number>>,
): Promise<void> {
  let columns: Record<"user_id" | string, number> = {};
  let width = 0;
  await readCsv(
    file,
    (header) => {
      width = header.names.length;
      columns = findColumns(header, report, ["user_id"], [...USER_COLUMNS.keys()]);
    },
    (records) => {
      for (const { fields } of records) {
        report.read++;
        const id = idOf(fields[columns.user_id as number]);
        if (fields.length !== width) refuse(report, "wrong number of fields");
        else if (id === undefined) refuse(report, "malformed user_id");
        else if (users.has(id)) refuse(report, "user seen before");
        else {
          users.set(id, encode(fields, columns, USER_COLUMNS));
          report.kept++;
        }
      }
      return undefined;
    },
  );
}

/** Reads video features: id → video. A second row for the same video is refused. */
export async function readVideos(
  file: string,
  report: FileReport,
  videos: Map<string, Video>,
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
        ["video_id", "author_id"],
        ["upload_dt", "video_duration", "tag", ...VIDEO_COLUMNS.keys()],
      );
    },
    (records) => {
      for (const { fields } of records) {
        report.read++;
        const at = (name: string): string | undefined => fields[columns[name] as number];
        const id = idOf(at("video_id"));
        const authorId = idOf(at("author_id"));
        if (fields.length !== width) refuse(report, "wrong number of fields");
        else if (id === undefined) refuse(report, "malformed video_id");
        else if (authorId === undefined) refuse(report, "malformed author_id");
        else if (videos.has(id)) refuse(report, "video seen before");
        else {
          videos.set(id, {
            id,
            authorId,
            topics: tags(at("tag")),
            attributes: encode(fields, columns, VIDEO_COLUMNS),
            uploadedMs: uploadedMs(at("upload_dt")),
            videoMs: wholeNumber(at("video_duration"), MAX_VIDEO_MS),
          });
          report.kept++;
        }
      }
      return undefined;
    },
  );
}

function encode(
  fields: readonly string[],
  columns: Record<string, number>,
  encodings: ReadonlyMap<string, Encoding>,
): Record<string, number> {
  const attributes: Record<string, number> = {};
  for (const [name, encoding] of encodings) {
    const text = fields[columns[name] as number];
    const value = text === undefined ? undefined : encoding(text);
    if (value !== undefined) attributes[name] = value;
  }
  return attributes;
}

function tags(text: string | undefined): string[] {
  if (text === undefined || text === "UNKNOWN") return [];
  const labels = text.split(",").map((tag) => tag.trim());
  return [...new Set(labels.filter((tag) => tag !== "" && tag.length <= 200))].slice(0, 32);
}

function uploadedMs(text: string | undefined): number | undefined {
  try {
    return dayStart(text?.slice(0, 10) ?? "", CHINA_OFFSET_MINUTES);
  } catch {
    return undefined;
  }
}
