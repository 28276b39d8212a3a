import { expect, test } from "vitest";
import { datasetSplit, dayRange, dayStart, moment, partOf, splitByTime } from "./split.ts";

test("a day on China's wall clock begins at 16:00 UTC of the day before", () => {
  expect(dayRange("2022-04-25", "2022-05-01", 480)).toEqual({
    fromMs: Date.parse("2022-04-24T16:00:00Z"),
    toMs: Date.parse("2022-05-01T16:00:00Z"),
  });
  expect(dayStart("2024-02-29")).toBe(Date.UTC(2024, 1, 29));
});

test("what is no calendar day is refused by name", () => {
  for (const day of ["2023-02-29", "2023-13-01", "20230101", "2023-1-1", ""])
    expect(() => dayStart(day)).toThrow(/no day/);
  expect(() => dayRange("2022-05-02", "2022-05-01")).toThrow(/before/);
});

test("each time belongs to one part: ranges are half-open", () => {
  const split = splitByTime({
    train: { fromMs: 0, toMs: 10 },
    validation: { fromMs: 10, toMs: 20 },
    test: { fromMs: 25, toMs: 30 },
  });
  const parts = [-1, 0, 9, 10, 19, 20, 25, 30].map((time) => partOf(split, time));
  const [none, train, validation] = [undefined, "train", "validation"];
  expect(parts).toEqual([none, train, train, validation, validation, none, "test", none]);
});

test("overlapping, reversed and empty ranges are refused", () => {
  const range = (fromMs: number, toMs: number) => ({ fromMs, toMs });
  const refused = (train: object, validation: object, test?: object) =>
    expect(() =>
      splitByTime({ train, validation, ...(test ? { test } : {}) } as Parameters<
        typeof splitByTime
      >[0]),
    );
  refused(range(0, 11), range(10, 20)).toThrow(/validation range .* before the train/);
  refused(range(10, 20), range(0, 10)).toThrow(/validation/);
  refused(range(0, 10), range(10, 20), range(19, 30)).toThrow(
    /test range .* before the validation/,
  );
  refused(range(5, 5), range(10, 20)).toThrow(/train range .* empty/);
  refused(range(0, 10), range(Number.NaN, 20)).toThrow(/validation range .* empty/);
});

test("a person's day means its edges on the data set's calendar, anything longer the moment itself", () => {
  expect(moment("2022-05-01", "start", 8)).toBe(Date.parse("2022-04-30T16:00:00Z"));
  expect(moment("2022-05-01", "end", 8)).toBe(Date.parse("2022-05-01T16:00:00Z"));
  expect(moment("2022-05-01T12:00Z", "end", 8)).toBe(Date.parse("2022-05-01T12:00:00Z"));
  expect(() => moment("2022-02-30", "end", 0)).toThrow(/no day/);
  expect(() => moment("soon", "end", 0)).toThrow(/no date/);
});

test("a data set divides in time: the last 15 % before what is held out validates", () => {
  const data = { from_ms: 0, to_ms: 1_099, held_out_from_ms: 1_000 };
  expect(datasetSplit(data)).toEqual({
    train: { fromMs: 0, toMs: 850 },
    validation: { fromMs: 850, toMs: 1_000 },
    test: { fromMs: 1_000, toMs: 1_100 },
  });
  expect(datasetSplit({ from_ms: 0, to_ms: 999 }, { trainUntilMs: 500 })).toEqual({
    train: { fromMs: 0, toMs: 500 },
    validation: { fromMs: 500, toMs: 1_000 },
  });
  expect(() => datasetSplit(data, { validateUntilMs: 1_050 })).toThrow(/held out/);
  expect(() => datasetSplit(data, { trainUntilMs: 2_000 })).toThrow(/validation range/);
});
