import { expect, test } from "vitest";
import type { SegmentInfo } from "./segment-files.ts";
import { timeWindows } from "./segment-windows.ts";

const segment = (first: number, min: number, max: number, ordered = true): SegmentInfo => ({
  file: `${first}.parquet`,
  schema_version: 1,
  rows: 100,
  first_seq: first,
  last_seq: first + 99,
  min_time_ms: min,
  max_time_ms: max,
  time_ordered: ordered,
  types: { follow: 100 },
  bytes: 1,
  sha256: "0".repeat(64),
});

test("segments in order, even when they meet in one millisecond, are read without sorting", () => {
  const windows = timeWindows([segment(1, 0, 10), segment(101, 10, 20), segment(201, 20, 30)]);
  expect(windows.map((w) => [w.segments.length, w.sort])).toEqual([[3, false]]);
});

test("a nearly ordered log is sorted one segment and its late neighbours at a time", () => {
  const segments = Array.from({ length: 10 }, (_, i) =>
    segment(i * 100 + 1, i * 1000, i * 1000 + 1200, false),
  );
  const windows = timeWindows(segments);
  expect(windows.length).toBe(10);
  expect(windows.every((w) => w.sort && w.segments.length <= 2)).toBe(true);
});

test("segments that all overlap are read in one window, not each once per window", () => {
  const segments = Array.from({ length: 50 }, (_, i) =>
    segment(i * 100 + 1, i, 1_000_000 - i, false),
  );
  expect(timeWindows(segments).map((w) => w.segments.length)).toEqual([50]);
});

test("windows follow each other without gap and reach over all times", () => {
  const segments = [segment(1, 500, 900), segment(101, 0, 5000, false), segment(201, 4000, 4000)];
  const windows = timeWindows(segments);
  expect(windows[0]?.fromMs).toBe(0);
  expect(windows.at(-1)?.toMs).toBe(Number.POSITIVE_INFINITY);
  for (let i = 1; i < windows.length; i++) expect(windows[i]?.fromMs).toBe(windows[i - 1]?.toMs);
  for (const window of windows)
    expect(window.segments).toEqual(
      segments.filter((s) => s.max_time_ms >= window.fromMs && s.min_time_ms < window.toMs),
    );
});
