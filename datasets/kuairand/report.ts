import type { EventType } from "../events.ts";

/** What an import read of one file. `read` = `kept` + the sum of `refused`. */
export interface FileReport {
  readonly file: string;
  read: number;
  kept: number;
  /** reason → rows. */
  refused: Record<string, number>;
  /** Columns that the importer does not use. */
  readonly unused_columns: string[];
}

export interface ImportReport {
  readonly out: string;
  readonly files: FileReport[];
  /** Log rows equal to an earlier one in every field: kept, as in the original. */
  exact_duplicates: number;
  users: number;
  posts: number;
  /** Posts whose upload day is missing: dated to the first day of the log. */
  posts_without_date: number;
  /** Impressions before the first millisecond of their video's upload day. */
  impressions_before_upload: number;
  impressions: number;
  /** head → engagements made from log rows. */
  engagements: Record<string, number>;
  /** Engagements made from history lists (timed by interpolation, without request_id). */
  history_engagements: number;
  /** China day of the impression → impressions. The file's own `date` is later for rows shortly before midnight. */
  days: Record<string, number>;
  readonly events: Partial<Record<EventType, number>>;
  segments: number;
  bytes: number;
}

export const refuse = (report: FileReport, reason: string): void => {
  report.refused[reason] = (report.refused[reason] ?? 0) + 1;
};

/** The report for a person to read. */
export function formatReport(report: ImportReport): string {
  const n = (value: number): string => value.toLocaleString("en-US");
  const lines: string[] = [];
  for (const file of report.files) {
    lines.push(`${file.file}: ${n(file.read)} rows read, ${n(file.kept)} kept`);
    for (const [reason, count] of Object.entries(file.refused))
      lines.push(`  refused ${n(count)}: ${reason}`);
    if (file.unused_columns.length > 0)
      lines.push(
        `  ${file.unused_columns.length} unused columns: ${file.unused_columns.join(", ")}`,
      );
  }
  lines.push(
    `${n(report.exact_duplicates)} exact duplicates among the log rows, kept`,
    `${n(report.users)} users, ${n(report.posts)} videos (${n(report.posts_without_date)} without date)`,
    `${n(report.impressions)} impressions (${n(report.impressions_before_upload)} before their video's upload day)`,
    `engagements: ${Object.entries(report.engagements)
      .map(([head, count]) => `${head} ${n(count)}`)
      .join(", ")}; from history ${n(report.history_engagements)}`,
    `days: ${Object.entries(report.days)
      .map(([day, count]) => `${day} ${n(count)}`)
      .join(", ")}`,
    `${report.segments} segments, ${n(report.bytes)} bytes in ${report.out}`,
  );
  return lines.join("\n");
}
