import { deserialize, serialize } from "node:v8";
import { expect, test } from "vitest";
import {
  engagement,
  HOUR,
  impression,
  NOON,
  post,
  served,
  userDeleted,
} from "../events.fixture.ts";
import { ReaderActivity } from "./reader-activity.ts";

const DAY = 24 * HOUR;

test("impressions, engagements and rankings are visits; other events are not", () => {
  const activity = new ReaderActivity();
  activity.apply(impression("1", "9", NOON));
  activity.apply(engagement("9", "favorite", NOON, { user_id: "2" }));
  activity.apply(served("3", [], NOON));
  activity.apply(post("9", "4"));
  expect(["1", "2", "3", "4"].map((user) => activity.classOf(user, NOON))).toEqual([
    ...["active", "active", "active", "inactive"],
  ]);
});

test("a user is active for three days after a visit, then semi-active until swept after thirty", () => {
  const activity = new ReaderActivity();
  activity.note("1", NOON);
  activity.note("1", NOON - 9 * DAY);
  expect(activity.lastMs("1")).toBe(NOON);
  expect(activity.classOf("1", NOON + 3 * DAY)).toBe("active");
  expect(activity.classOf("1", NOON + 3 * DAY + 1)).toBe("semi_active");
  expect(activity.sweep(NOON + 30 * DAY)).toEqual([]);
  expect(activity.sweep(NOON + 30 * DAY + 1)).toEqual(["1"]);
  expect(activity.classOf("1", NOON)).toBe("inactive");
});

test("how long is an option, a deleted user is forgotten, and a dropped one is inactive", () => {
  const activity = new ReaderActivity({ activeDays: 1, semiActiveDays: 2 });
  for (const user of ["1", "2", "3"]) activity.note(user, NOON);
  activity.apply(userDeleted("1"));
  activity.drop("2");
  expect(activity.classOf("3", NOON + DAY + 1)).toBe("semi_active");
  expect(activity.sweep(NOON + 2 * DAY + 1)).toEqual(["3"]);
});

test("a snapshot restores to the same", () => {
  const activity = new ReaderActivity();
  activity.note("1", NOON);
  const restored = new ReaderActivity();
  restored.restore(deserialize(serialize(activity.snapshot())));
  expect(restored.snapshot()).toEqual(activity.snapshot());
});
