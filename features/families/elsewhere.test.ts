import { expect, test } from "vitest";
import { type Event, EventSchema } from "../../datasets/events.ts";
import { applyEvent } from "../engine.ts";
import { MemoryState } from "../memory-store.ts";
import { FeatureReader } from "../reader.ts";
import { FEATURE_NAMES } from "../registry.ts";

const T = Date.UTC(2025, 0, 6, 12);
const event = (fields: Record<string, unknown>): Event =>
  EventSchema.parse({ time_ms: T, ...fields });
const watched = (
  user_id: string,
  post_id: string,
  author_id: string,
  ...heads: string[]
): Event[] =>
  ["video_view", ...heads].map((head) =>
    event({ type: "engagement", user_id, post_id, author_id, head, surface: "elsewhere" }),
  );
const post = (post_id: string, author_id: string, ...topics: string[]): Event =>
  event({ type: "post_created", post_id, author_id, topics, media: "video" });

/** Every feature of viewer 1 for a post at T. */
function row(events: readonly Event[], postId = "100", authorId = "2"): Record<string, number> {
  const state = new MemoryState();
  for (const one of events) applyEvent(state, one);
  const reader = new FeatureReader(FEATURE_NAMES, []);
  const out = new Float32Array(FEATURE_NAMES.length);
  reader.begin(state, { userId: "1", nowMs: T });
  reader.row(postId, authorId, out, new Uint32Array(0), 0);
  return Object.fromEntries(FEATURE_NAMES.map((name, i) => [name, out[i] as number]));
}

// Everybody: 5 views, 2 of them long, 1 favorite. Viewer 1: 2 views of author 2 (1 long), 1 of author 3.
const EVENTS = [
  post("100", "2", "tea"),
  post("101", "2", "tea", "chess"),
  post("102", "3", "chess"),
  ...watched("1", "100", "2", "long_view", "favorite"),
  ...watched("1", "101", "2"),
  ...watched("1", "102", "3"),
  ...watched("9", "100", "2", "long_view"),
  ...watched("9", "102", "3"),
];
const PRIOR = 2 / 5;
const smoothed = (long: number, views: number, strength: number, prior: number): number =>
  (long + strength * prior) / (views + strength);

test("rates are per view and against everybody's views", () => {
  const values = row(EVENTS);
  expect(values["user_elsewhere.views_50d"]).toBeCloseTo(3, 6);
  expect(values["user_elsewhere.long_view_rate_50d"]).toBeCloseTo(
    Math.log(smoothed(1, 3, 10, PRIOR) / PRIOR),
    6,
  );
  expect(values["post_elsewhere.views_50d"]).toBeCloseTo(2, 6);
  expect(values["post_elsewhere.long_view_rate_50d"]).toBeCloseTo(
    Math.log(smoothed(2, 2, 20, PRIOR) / PRIOR),
    6,
  );
  expect(values["author_elsewhere.favorite_rate_50d"]).toBeCloseTo(
    Math.log(smoothed(1, 3, 20, 1 / 5) / (1 / 5)),
    6,
  );
});

test("authors and topics are held against the viewer's own rate", () => {
  const values = row(EVENTS);
  const own = smoothed(1, 3, 10, PRIOR);
  expect(values["user_author_elsewhere.views_50d"]).toBeCloseTo(2, 6);
  expect(values["user_author_elsewhere.long_view_lift_50d"]).toBeCloseTo(
    Math.log(smoothed(1, 2, 3, own) / own),
    6,
  );
  // Tea: one whole view that was long and half of one that was not.
  expect(values["user_topic_elsewhere.views_50d"]).toBeCloseTo(1.5, 6);
  expect(values["user_topic_elsewhere.long_view_lift_50d"]).toBeCloseTo(
    Math.log(smoothed(1, 1.5, 5, own) / own),
    6,
  );
});

test("what was done elsewhere leaves every other feature alone", () => {
  const shown = event({
    type: "impression",
    request_id: "q",
    user_id: "1",
    post_id: "100",
    author_id: "2",
    position: 0,
    surface: "home",
  });
  const posts = EVENTS.slice(0, 3);
  const without = row([...posts, shown]);
  const with_ = row([...EVENTS, shown]);
  for (const name of FEATURE_NAMES)
    if (name.includes("elsewhere")) expect(without[name], name).toBeNaN();
    else expect(with_[name], name).toEqual(without[name]);
});

test("an engagement on any other surface, or on none, counts nowhere else", () => {
  const asked = EVENTS.map((one) =>
    one.type === "engagement" ? { ...one, surface: "home" } : one,
  );
  const values = row(asked);
  for (const name of FEATURE_NAMES)
    if (name.includes("elsewhere")) expect(values[name], name).toBeNaN();
});

test("who is unknown there, and an author without views, has no rates", () => {
  const values = row(EVENTS, "102", "7");
  expect(values["author_elsewhere.views_50d"]).toBeNaN();
  expect(values["user_author_elsewhere.long_view_lift_50d"]).toBeNaN();
  expect(values["post_elsewhere.views_50d"]).toBeCloseTo(2, 6);
});
