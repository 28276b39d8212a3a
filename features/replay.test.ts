import { describe, expect, test } from "vitest";
import type { Event, EventOf } from "../datasets/events.ts";
import { ENGAGEMENT_HEADS } from "../datasets/heads.ts";
import { FEATURE_NAMES } from "./registry.ts";
import { bruteForceFeatures, bruteForceLabels } from "./replay.oracle.ts";
import { Replay, type ReplayOptions, rowsBetween } from "./replay.ts";
import type { TrainingRows } from "./rows.ts";
import { SMALL_WORLD_START_MS, smallWorld } from "./small-world.fixture.ts";

const T = Date.UTC(2025, 0, 6);
const HOUR = 3_600_000;
const replayed = (events: readonly Event[], options: Partial<ReplayOptions> = {}): TrainingRows => {
  const replay = new Replay({ features: [], ids: [], heads: [], ...options });
  for (const event of events) replay.push(event);
  return replay.rows();
};
const column = (rows: TrainingRows, name: string): number[] =>
  Array.from(
    { length: rows.n },
    (_, i) =>
      rows.features[i * rows.featureNames.length + rows.featureNames.indexOf(name)] as number,
  );
const labels = (rows: TrainingRows, head: string): number[] =>
  Array.from(
    { length: rows.n },
    (_, i) => rows.labels[i * rows.headNames.length + rows.headNames.indexOf(head)] as number,
  );

const shown = (timeMs: number, more: Partial<EventOf<"impression">> = {}): Event => ({
  type: "impression",
  time_ms: timeMs,
  request_id: "q1",
  user_id: "1",
  post_id: "100",
  author_id: "2",
  position: 0,
  ...more,
});
const acted = (timeMs: number, head: string, more: Partial<EventOf<"engagement">> = {}): Event => ({
  type: "engagement",
  time_ms: timeMs,
  request_id: "q1",
  user_id: "1",
  post_id: "100",
  author_id: "2",
  head,
  ...more,
});
const post = (timeMs: number, more: Partial<EventOf<"post_created">> = {}): Event => ({
  type: "post_created",
  time_ms: timeMs,
  post_id: "100",
  author_id: "2",
  text: "",
  topics: [],
  media: "none",
  safety_labels: [],
  attributes: {},
  ...more,
});

test("an impression sees what came before it and nothing of its own millisecond", () => {
  const rows = replayed([shown(T), shown(T + 1), shown(T + 1), shown(T + 2)], {
    features: ["user.impressions_50d"],
  });
  const seen = column(rows, "user.impressions_50d");
  expect(seen[0]).toBeNaN();
  expect(seen[1]).toBeCloseTo(1, 6);
  expect(seen[2]).toBe(seen[1]);
  expect(seen[3]).toBeCloseTo(3, 6);
});

test("exact duplicates that carry their outcome with them tell each other nothing", () => {
  // KuaiRand's log holds thousands of such pairs: same user, video and time, the outcome known at once.
  const pair = [1, 2].flatMap((i) => [
    shown(T, { request_id: `q${i}` }),
    acted(T, "click", { request_id: `q${i}` }),
  ]);
  const before = shown(T - HOUR, { request_id: "q0" });
  const rows = replayed([before, ...pair, shown(T + 1, { request_id: "q3" })], {
    features: ["user.click_rate_50d", "user_author.click_rate_50d", "post.impressions_1d"],
    heads: ["click"],
  });
  for (const name of rows.featureNames) {
    const values = column(rows, name);
    expect(values[1], name).toEqual(values[2]);
    expect(values[3], name).not.toEqual(values[1]);
  }
  // Before any click there is no rate to compare with.
  expect(column(rows, "user.click_rate_50d")[1]).toBeNaN();
  expect(labels(rows, "click")).toEqual([0, 1, 1, 0]);
});

test("an outcome counts from its own time on, not from its impression's", () => {
  const rows = replayed(
    [
      shown(T),
      shown(T + HOUR, { request_id: "q2" }),
      acted(T + 2 * HOUR, "favorite"),
      shown(T + 2 * HOUR, { request_id: "q3" }),
      shown(T + 3 * HOUR, { request_id: "q4" }),
    ],
    { features: ["user_author.hours_since_engaged"], heads: ["favorite"] },
  );
  expect(column(rows, "user_author.hours_since_engaged")).toEqual([NaN, NaN, NaN, 1]);
  expect(labels(rows, "favorite")).toEqual([1, 0, 0, 0]);
});

test("a label belongs to the request, user and post that the engagement names, however late it comes", () => {
  const rows = replayed(
    [
      shown(T),
      shown(T + 1, { user_id: "3" }),
      shown(T + 2, { post_id: "101" }),
      shown(T + 3, { request_id: "q2" }),
      acted(T + 40 * 24 * HOUR, "favorite"),
      acted(T + 40 * 24 * HOUR, "click", { request_id: "q2" }),
      acted(T + 40 * 24 * HOUR, "reply", { request_id: "another" }),
      { ...acted(T + 41 * 24 * HOUR, "reply"), request_id: undefined } as Event,
    ],
    { heads: ["favorite", "click", "reply"] },
  );
  expect(labels(rows, "favorite")).toEqual([1, 0, 0, 0]);
  expect(labels(rows, "click")).toEqual([0, 0, 0, 1]);
  expect(labels(rows, "reply")).toEqual([0, 0, 0, 0]);
});

test("impressions that agree in request, user and post share their labels", () => {
  const rows = replayed([shown(T), shown(T + 5), shown(T + 9), acted(T + 10, "click")], {
    heads: ["click"],
  });
  expect(labels(rows, "click")).toEqual([1, 1, 1]);
});

test("an engagement labels an impression of its own millisecond wherever it stands in it", () => {
  const events = [acted(T, "click"), shown(T)];
  expect(labels(replayed(events, { heads: ["click"] }), "click")).toEqual([1]);
  const later = shown(T + 1, { request_id: "q2" });
  expect(labels(replayed([...events, later], { heads: ["click"] }), "click")).toEqual([1, 0]);
});

test("an undo takes the label back, and a second thought brings it again", () => {
  const undone = [shown(T), acted(T + 1, "favorite"), acted(T + 2, "favorite", { undo: true })];
  expect(labels(replayed(undone, { heads: ["favorite"] }), "favorite")).toEqual([0]);
  const again = [...undone, acted(T + 3, "favorite")];
  expect(labels(replayed(again, { heads: ["favorite"] }), "favorite")).toEqual([1]);
});

test("a continuous head's label is its amount", () => {
  const rows = replayed([shown(T), acted(T + 1, "dwell_seconds", { value: 7.25 })], {
    heads: ["dwell_seconds", "click"],
  });
  expect(labels(rows, "dwell_seconds")).toEqual([7.25]);
  expect(labels(rows, "click")).toEqual([0]);
});

test("heads behind a closed gate are masked, and stay so when an engagement arrives all the same", () => {
  const heads = ["photo_expand", "video_view", "quoted_click", "follow_author", "post_unexplored"];
  const events: Event[] = [
    post(T - 9, { post_id: "1", media: "photo" }),
    post(T - 8, { post_id: "2", media: "video", video_ms: 9000 }),
    post(T - 7, { post_id: "3", quote_of_post_id: "1", quote_of_author_id: "2" }),
    shown(T, { post_id: "1", in_network: true }),
    shown(T, { post_id: "2", in_network: false }),
    shown(T, { post_id: "3" }),
    shown(T, { post_id: "404" }),
    ...["1", "2"].map((id) => acted(T + 1, "photo_expand", { post_id: id })),
    ...["1", "2"].map((id) => acted(T + 1, "follow_author", { post_id: id })),
  ];
  const rows = replayed(events, { heads });
  const X = Number.NaN;
  expect(labels(rows, "photo_expand")).toEqual([1, X, X, X]);
  expect(labels(rows, "video_view")).toEqual([X, 0, X, X]);
  expect(labels(rows, "quoted_click")).toEqual([X, X, 0, X]);
  expect(labels(rows, "follow_author")).toEqual([X, 1, 0, 0]);
  expect(labels(rows, "post_unexplored")).toEqual([0, X, 0, 0]);
});

test("only impressions of the window become rows, but the state learns from all", () => {
  const events = Array.from({ length: 10 }, (_, i) => shown(T + i * 1000, { request_id: `q${i}` }));
  const rows = replayed(events, {
    features: ["user.impressions_50d"],
    fromMs: T + 3000,
    toMs: T + 6000,
  });
  expect([...rows.timeMs]).toEqual([T + 3000, T + 4000, T + 5000]);
  expect(column(rows, "user.impressions_50d").map(Math.round)).toEqual([3, 4, 5]);
});

test("every impression gives one row, in order, with its columns", () => {
  const events = smallWorld(2, { impressions: 5000, posts: 20 });
  const rows = replayed(events, {
    features: ["post.age_hours"],
    ids: ["author"],
    heads: ["click"],
  });
  const impressions = events.filter((event) => event.type === "impression");
  expect(rows.n).toBe(5000);
  expect([...rows.timeMs]).toEqual(impressions.map((event) => event.time_ms));
  expect(rows.userIds).toEqual(impressions.map((event) => event.user_id));
  expect(rows.postIds).toEqual(impressions.map((event) => event.post_id));
  expect([...rows.position]).toEqual(impressions.map((event) => event.position));
  expect([...rows.inNetwork]).toEqual(
    impressions.map(({ in_network }) => (in_network === undefined ? NaN : Number(in_network))),
  );
  expect([...rows.weight].every((weight) => weight === 1)).toBe(true);
  const users = new Map(rows.userIds.map((id, i) => [id, rows.user[i]]));
  expect(rows.userIds.every((id, i) => users.get(id) === rows.user[i])).toBe(true);
  expect(new Set(users.values()).size).toBe(users.size);
  expect(rows.features).toHaveLength(5000);
  expect(rows.ids).toHaveLength(5000);
  expect(rows.labels).toHaveLength(5000);
});

test("a slice of rows by time is the rows of a replay with that window", () => {
  const events = smallWorld(4);
  const [from, to] = [SMALL_WORLD_START_MS + 20 * HOUR, SMALL_WORLD_START_MS + 50 * HOUR];
  const options = { features: FEATURE_NAMES, ids: ["topic"], heads: ["click"] } as const;
  const slice = rowsBetween(replayed(events, options), from, to);
  const window = replayed(events, { ...options, fromMs: from, toMs: to });
  expect(slice.n).toBeGreaterThan(50);
  const { user: _, ...sliced } = slice;
  const { user: __, ...direct } = window;
  expect(sliced).toEqual(direct);
});

test("events out of time order and heads that cannot be labelled are refused by name", () => {
  const replay = new Replay({ features: [], ids: [], heads: [] });
  replay.push(shown(T));
  expect(() => replay.push(shown(T - 1))).toThrow(RangeError);
  expect(() => replayed([], { heads: ["applause"] })).toThrow("applause");
  expect(() => replayed([], { heads: ["negative_feedback"] })).toThrow("negative_feedback");
});

describe.each([
  ["fine times", { stepMs: 1 }],
  ["many equal times", { stepMs: 1_800_000 }],
  ["deletions", { stepMs: 60_000, deletions: true }],
  ["posts without text", { text: false }],
] as const)("with %s", (_, options) => {
  const events = smallWorld(9, { ...options, impressions: 250 });
  const heads = ENGAGEMENT_HEADS.map((head) => head.name);
  const replay = new Replay({ features: FEATURE_NAMES, ids: [], heads });
  for (const event of events) replay.push(event);
  const rows = replay.rows();

  test("features equal what their definitions give on the raw events before the row", () => {
    const expected = bruteForceFeatures(events);
    for (const [name, values] of expected) {
      const actual = column(rows, name);
      let present = 0;
      for (let i = 0; i < rows.n; i++) {
        const want = values[i] as number;
        if (Number.isNaN(want)) expect(actual[i], `${name}, row ${i}`).toBeNaN();
        else {
          present++;
          const error = Math.abs((actual[i] as number) - want);
          expect(error, `${name}, row ${i}: ${actual[i]} for ${want}`).toBeLessThanOrEqual(
            2e-5 * Math.max(0.05, Math.abs(want)),
          );
        }
      }
      expect(present, name).toBeGreaterThan(10);
    }
  });

  test("labels equal the last word of each head on the request", () => {
    const impressions = events.filter((event) => event.type === "impression");
    for (const [i, impression] of impressions.entries())
      expect([...rows.labels.subarray(i * heads.length, (i + 1) * heads.length)]).toEqual(
        bruteForceLabels(events, impression, ENGAGEMENT_HEADS),
      );
  });
});
