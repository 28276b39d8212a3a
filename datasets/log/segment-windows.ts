import type { SegmentInfo } from "./segment-files.ts";

/** One query: these segments in file order, sorted if `sort`, within fromMs ≤ time < toMs. */
export interface Window {
  readonly segments: readonly SegmentInfo[];
  readonly sort: boolean;
  readonly fromMs: number;
  readonly toMs: number;
}

/** All segments as they were written. */
export const inSequence = (segments: readonly SegmentInfo[]): Window => ({
  segments,
  sort: false,
  fromMs: Number.NEGATIVE_INFINITY,
  toMs: Number.POSITIVE_INFINITY,
});

/**
 * Cuts time so that a nearly ordered log is sorted about a segment at a time instead of whole: rows that come late
 * only reach into the windows before. Segments in perfect order need no sort; segments that all overlap make one
 * window, since each further one would scan all of them again.
 */
export function timeWindows(segments: readonly SegmentInfo[]): Window[] {
  if (segments.every((s, i) => s.time_ordered && follows(s, segments[i - 1])))
    return [inSequence(segments)];
  const enough = Math.max(...segments.map((s) => s.rows)) / 2;
  const candidates = [...new Set(segments.map((s) => s.min_time_ms))].sort((a, b) => a - b);
  const cuts = candidates.slice(0, 1);
  for (const cut of candidates.slice(1))
    if (expectedRows(segments, cuts.at(-1) as number, cut) >= enough) cuts.push(cut);
  return cuts.map((fromMs, i) => {
    const toMs = cuts[i + 1] ?? Number.POSITIVE_INFINITY;
    const touched = segments.filter((s) => s.max_time_ms >= fromMs && s.min_time_ms < toMs);
    return { segments: touched, sort: true, fromMs, toMs };
  });
}

const follows = (segment: SegmentInfo, previous: SegmentInfo | undefined): boolean =>
  previous === undefined || segment.min_time_ms >= previous.max_time_ms;

/** Rows within [fromMs, toMs) if each segment's rows were evenly spread over its time. */
function expectedRows(segments: readonly SegmentInfo[], fromMs: number, toMs: number): number {
  let rows = 0;
  for (const s of segments) {
    const spanMs = s.max_time_ms - s.min_time_ms + 1;
    const sharedMs = Math.min(toMs, s.max_time_ms + 1) - Math.max(fromMs, s.min_time_ms);
    if (sharedMs > 0) rows += (s.rows * sharedMs) / spanMs;
  }
  return rows;
}
