import { expect, test } from "vitest";
import {
  activityDegree,
  category,
  flag,
  number,
  rangeStart,
  USER_COLUMNS,
  VIDEO_COLUMNS,
} from "./attributes.ts";

test("ranges become their lower bound, in the order of the ranges", () => {
  const ranges = ["0", "(0,10]", "(10,50]", "[100,1k)", "(250,500]", "500+", "[1k,5k)", "730+"];
  expect(ranges.map(rangeStart)).toEqual([0, 0, 10, 100, 250, 500, 1000, 730]);
  expect(rangeStart("UNKNOWN")).toBeUndefined();
});

test("what is not known is missing, never 0", () => {
  for (const text of ["", " ", "nan", "UNKNOWN"]) expect(number(text)).toBeUndefined();
  expect(flag("-124")).toBeUndefined();
  expect([flag("0"), flag("1.0")]).toEqual([0, 1]);
  expect(activityDegree("UNKNOWN")).toBeUndefined();
  expect(category("UNKNOWN")).toBeUndefined();
});

test("activity is ordered from newcomers to the most active", () => {
  const degrees = ["day_new", "low_active", "middle_active", "high_active", "full_active"];
  const codes = degrees.map(activityDegree) as number[];
  expect(codes).toEqual([...codes].sort((a, b) => a - b));
  expect(codes.at(-1)).toBe(8);
});

test("a category's code is fixed, exact as a 32-bit float and distinct among KuaiRand's names", () => {
  const names = ["NORMAL", "AD", "LongImport", "Web", "Kmovie", "ShortImport", "LongPicture"];
  names.push("PictureSet", "LongCamera", "ShortCamera", "ShareFromOtherApp", "FollowShoot");
  const codes = names.map((name) => category(name) as number);
  expect(new Set(codes).size).toBe(names.length);
  for (const code of codes) expect(Math.fround(code)).toBe(code);
  // A model trained on an older import reads these numbers: they must not move.
  expect([category("NORMAL"), category("AD")]).toEqual([7495323, 10259557]);
});

test("all profile columns of the data set have an encoding", () => {
  expect(USER_COLUMNS.size).toBe(30);
  expect(VIDEO_COLUMNS.size).toBe(7);
});
