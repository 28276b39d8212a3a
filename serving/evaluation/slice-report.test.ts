import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { auc } from "../../experiments/metrics/auc.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { sliceReports } from "./slice-report.ts";

const MIDNIGHT = Date.UTC(2025, 0, 6);
const HOUR = 3_600_000;
const NAMES = [
  "user.hours_since_seen",
  "post.has_video",
  "post.has_photo",
  "user_elsewhere.views_50d",
];

/** 600 rows over 30 hours, 40 users: the first 10 were seen before, of 5 others something is known from elsewhere. */
function rows(): { rows: TrainingRows; predictions: Float32Array; surfaces: string[] } {
  const draw = random(7, "slices");
  const n = 600;
  const user = Int32Array.from({ length: n }, (_, i) => i % 40);
  const met = new Set<number>();
  const features = new Float32Array(n * NAMES.length);
  user.forEach((u, i) => {
    const before = u < 10 || met.has(u) ? 2 : Number.NaN;
    met.add(u);
    features.set([before, i % 2, 1 - (i % 2), u >= 35 ? 3 : Number.NaN], i * NAMES.length);
  });
  const p = Float32Array.from({ length: n }, () => draw.next());
  return {
    rows: {
      n,
      featureNames: NAMES,
      features,
      idNames: [],
      ids: new Uint32Array(0),
      headNames: ["click", "dwell_seconds"],
      labels: Float32Array.from({ length: 2 * n }, (_, at) =>
        at % 2 === 0 ? (draw.next() < (p[at / 2] as number) ? 1 : 0) : 5,
      ),
      timeMs: Float64Array.from({ length: n }, (_, i) => MIDNIGHT + (i / n) * 30 * HOUR),
      user,
      userIds: Array.from(user, (u) => String(u)),
      postIds: Array.from({ length: n }, (_, i) => String(i)),
      position: new Float32Array(n),
      inNetwork: new Float32Array(n),
      weight: new Float32Array(n).fill(1),
    },
    predictions: Float32Array.from({ length: 2 * n }, (_, at) =>
      at % 2 === 0 ? (p[at / 2] as number) : 5,
    ),
    surfaces: Array.from({ length: n }, (_, i) => (i < 590 ? "home" : "none")),
  };
}
const given = rows();
const options = { seed: 1, rounds: 50, utcOffsetHours: 0, surfaces: given.surfaces };
const slices = sliceReports(given.rows, given.predictions, options);
const part = (by: string, value: string) =>
  slices.find((one) => one.by === by && one.value === value);

test("every kind of part divides all rows", () => {
  for (const by of ["day", "surface", "media", "user", "history"])
    expect(
      slices.filter((one) => one.by === by).reduce((sum, one) => sum + one.rows, 0),
      by,
    ).toBe(given.rows.n);
});

test("days are those of the data's calendar", () => {
  expect(part("day", "2025-01-06")?.rows).toBe(480);
  expect(part("day", "2025-01-07")?.rows).toBe(120);
  const later = sliceReports(given.rows, given.predictions, { ...options, utcOffsetHours: 8 });
  expect(later.find(({ value }) => value === "2025-01-06")?.rows).toBe(320);
});

test("a user stays new in all rows when the first of them was the first ever", () => {
  expect(part("user", "known")).toMatchObject({ users: 10, rows: 150 });
  expect(part("user", "new")).toMatchObject({ users: 30, rows: 450 });
  expect(part("history", "none")).toMatchObject({ users: 25 });
  expect(part("history", "some")).toMatchObject({ users: 15 });
});

test("a part's metrics are those of its rows alone, with an interval around them", () => {
  const picked = Array.from({ length: 300 }, (_, i) => 2 * i + 1);
  const expected = auc({
    scores: Float32Array.from(picked, (row) => given.predictions[2 * row] as number),
    labels: Float32Array.from(picked, (row) => given.rows.labels[2 * row] as number),
  });
  const head = part("media", "video")?.heads[0];
  const interval = head?.metrics.auc;
  expect(interval?.value).toBeCloseTo(expected, 12);
  expect(interval?.low).toBeLessThan(expected);
  expect(interval?.high).toBeGreaterThan(expected);
  expect(head?.calibration).toBeGreaterThan(0.7);
  expect(head?.calibration).toBeLessThan(1.4);
});

test("a part with a handful of rows has counts but no metrics, and amounts are not judged", () => {
  const few = part("surface", "none");
  expect(few?.rows).toBe(10);
  expect(few?.heads.map(({ head }) => head)).toEqual(["click"]);
  expect(few?.heads[0]?.metrics).toEqual({
    auc: null,
    gauc: null,
    pr_auc: null,
    normalized_entropy: null,
  });
});
