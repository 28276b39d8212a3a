import { expect, test } from "vitest";
import { auc } from "../../experiments/metrics/auc.ts";
import { languageCode } from "../../features/families/post-content.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { believedPredictions, judgedRows } from "./judged-rows.fixture.ts";
import { type SliceReport, sliceReports } from "./slices.ts";

const DAY = 86_400_000;
const OPTIONS = { seed: 1, rounds: 20, utcOffsetHours: 0 };

/** Two days of rows of which every division is known. */
function divided(): TrainingRows {
  const rows = judgedRows({
    n: 3000,
    seed: 4,
    toMs: 2 * DAY,
    featureNames: ["x", "user.account_age_days", "user.sessions"],
    idNames: ["media", "language"],
  });
  for (let row = 0; row < rows.n; row++) {
    const user = rows.user[row] as number;
    rows.features[row * 3 + 1] = user < 30 ? 2 : user < 40 ? Number.NaN : 50;
    rows.features[row * 3 + 2] = user < 20 ? 1 : 5;
    rows.ids[row * 2] = row % 4; // unknown, none, photo, video
    rows.ids[row * 2 + 1] = languageCode(row % 3 === 0 ? "en" : row % 3 === 1 ? "ja" : "tlh");
  }
  return rows;
}

const rows = divided();
const predictions = believedPredictions(rows);
const reports = sliceReports(rows, predictions, OPTIONS);
const named = (by: string, slice: string): SliceReport =>
  reports.find((report) => report.by === by && report.slice === slice) as SliceReport;

test("rows are divided by account age, history, network, media, language and day; what is unknown is in no slice", () => {
  expect(reports.map(({ by, slice }) => `${by} ${slice}`)).toEqual([
    ...["viewer known", "viewer new", "history none", "history some", "network in", "network out"],
    ...["media none", "media photo", "media video", "language en", "language ja", "language other"],
    ...["day 1970-01-01", "day 1970-01-02"],
  ]);
  const total = (by: string): number =>
    reports.filter((report) => report.by === by).reduce((sum, report) => sum + report.rows, 0);
  for (const by of ["history", "network", "language", "day"]) expect(total(by), by).toBe(rows.n);
  expect(total("media")).toBe(2250);
  const unknownAge = [...rows.user].filter((user) => user >= 30 && user < 40).length;
  expect(total("viewer")).toBe(rows.n - unknownAge);
  expect(named("viewer", "new").users).toBe(30);
  expect(named("history", "none").users).toBe(20);
});

test("the figures of a slice are those of its rows alone", () => {
  const scores: number[] = [];
  const labels: number[] = [];
  for (let row = 0; row < rows.n; row++) {
    if (rows.ids[row * 2] !== 3) continue;
    scores.push(predictions[row * 2] as number);
    labels.push(rows.labels[row * 2] as number);
  }
  const click = named("media", "video").heads.click;
  expect(click?.rows).toBe(750);
  expect(click?.positives).toBe(labels.filter((label) => label === 1).length);
  const { value, low, high } = click?.metrics.auc ?? { value: 0, low: 0, high: 0 };
  expect(value).toBeCloseTo(
    auc({ scores: Float64Array.from(scores), labels: Float64Array.from(labels) }),
    12,
  );
  expect(low).toBeLessThan(value);
  expect(high).toBeGreaterThan(value);
  expect(Object.keys(click?.metrics ?? {})).toEqual(["auc", "gauc", "normalized_entropy"]);
});

test("days are those of the data's calendar", () => {
  const shifted = sliceReports(rows, predictions, { ...OPTIONS, utcOffsetHours: 8 });
  const days = shifted.filter(({ by }) => by === "day");
  expect(days.map(({ slice }) => slice)).toEqual(["1970-01-01", "1970-01-02", "1970-01-03"]);
  expect(days[0]?.rows).toBe(1000);
});

test("heads with fewer than 100 positives and divisions that the rows cannot tell are left out", () => {
  const plain = judgedRows({ n: 250, seed: 4 });
  const few = sliceReports(plain, believedPredictions(plain), OPTIONS);
  expect([...new Set(few.map(({ by }) => by))]).toEqual(["network", "day"]);
  for (const { heads } of few) expect(heads).toEqual({});
  expect(Object.keys(named("day", "1970-01-01").heads)).toEqual(["click"]);
});
