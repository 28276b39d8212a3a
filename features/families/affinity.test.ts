import { expect, test } from "vitest";
import type { Event } from "../../datasets/events.ts";
import { applyEvent } from "../engine.ts";
import { MemoryState } from "../memory-store.ts";
import { FeatureReader } from "../reader.ts";
import { affinity, authorAffinity } from "./affinity.ts";

const T = Date.UTC(2026, 0, 5);
const HOUR = 3_600_000;
const NAMES = [affinity, authorAffinity].flatMap(({ features }) =>
  features.map(({ name }) => name),
);

const follow = (user_id: string, target_id: string): Event => ({
  type: "follow",
  time_ms: T,
  user_id,
  target_id,
});
const unfollow = (user_id: string, target_id: string): Event => ({
  type: "unfollow",
  time_ms: T + 1,
  user_id,
  target_id,
});
/** A post without text: its topics are its labels in equal parts. */
const post = (post_id: string, author_id: string, ...topics: string[]): Event => ({
  type: "post_created",
  time_ms: T,
  post_id,
  author_id,
  text: "",
  topics,
  media: "none",
  safety_labels: [],
  attributes: {},
});
const seen = (user_id: string, post_id: string, ...heads: string[]): Event[] => [
  { type: "impression", time_ms: T, request_id: "q", user_id, post_id, position: 0 },
  ...heads.map(
    (head): Event => ({
      type: "engagement",
      time_ms: T,
      request_id: "q",
      user_id,
      post_id,
      head: head as "click",
    }),
  ),
];
const after = (...events: (Event | Event[])[]): MemoryState => {
  const state = new MemoryState();
  for (const event of events.flat()) applyEvent(state, event);
  return state;
};

function read(
  state: MemoryState,
  userId: string,
  postId: string,
  authorId?: string,
  nowMs = T + HOUR,
): Record<string, number> {
  const reader = new FeatureReader(NAMES, []);
  const out = new Float32Array(NAMES.length);
  reader.begin(state, { userId, nowMs });
  reader.row(postId, authorId, out, new Uint32Array(0), 0);
  return Object.fromEntries(NAMES.map((name, i) => [name.split(".")[1], out[i] as number]));
}

test("shares of followed authors' topics are smoothed with everybody's, 3 authors' worth", () => {
  // Everybody: 2 of tea, 2 of chess. Followed: author 2 with two posts on tea, known as 2 / (2 + 1) of an author.
  const state = after(
    follow("1", "2"),
    post("20", "2", "tea"),
    post("21", "2", "tea"),
    post("30", "3", "chess"),
    post("31", "3", "chess"),
  );
  // An instant after the posts, so that nothing has decayed yet.
  const tea = read(state, "1", "20", "2", T);
  const chess = read(state, "1", "30", "3", T);
  const known = 2 / 3;
  const share = { tea: (known + 1.5) / (known + 3), chess: 1.5 / (known + 3) };
  const length = Math.hypot(share.tea, share.chess);
  expect(tea.followed_authors).toBeCloseTo(known, 6);
  expect(tea.followed_topics).toBeCloseTo(Math.log(share.tea / 0.5), 6);
  expect(chess.followed_topics).toBeCloseTo(Math.log(share.chess / 0.5), 6);
  expect(tea.followed_likeness).toBeCloseTo(share.tea / length, 6);
  expect(chess.followed_likeness).toBeCloseTo(share.chess / length, 6);
  // The author's 2 posts on tea and 1 on each topic: (3, 1).
  expect(tea.author_followed_likeness).toBeCloseTo(
    (3 * share.tea + share.chess) / (Math.hypot(3, 1) * length),
    6,
  );
  // Nothing was shown to the viewer: the taste is what the followed authors say.
  expect(tea.engaged_topics).toBeNaN();
  expect(tea.likeness).toBeCloseTo(tea.followed_likeness as number, 6);
  expect(tea.author_likeness).toBeCloseTo(tea.author_followed_likeness as number, 6);
});

test("a topic's interest is measured against the viewer's own mean", () => {
  const state = after(
    post("20", "2", "tea"),
    post("30", "3", "chess"),
    ...Array.from({ length: 10 }, () => seen("1", "20", "favorite")),
    ...Array.from({ length: 10 }, () => seen("1", "30")),
    // Another viewer welcomes all: everybody's mean is 30 / 40.
    ...Array.from({ length: 20 }, () => seen("4", "30", "favorite")),
  );
  const everybody = 30 / 40;
  const own = (10 + 8 * everybody) / (20 + 8);
  const tea = read(state, "1", "20", "2", T);
  const chess = read(state, "1", "30", "3", T);
  const lift = (interest: number) => Math.log((interest + 6 * own) / (10 * own + 6 * own));
  expect(tea.engaged_topics).toBeCloseTo(lift(10), 6);
  expect(chess.engaged_topics).toBeCloseTo(lift(0), 6);
  // Nobody is followed: only what was shown speaks, over equal shares.
  expect(tea.followed_topics).toBeNaN();
  const taste = [Math.exp(lift(10)), Math.exp(lift(0))] as const;
  expect(tea.likeness).toBeCloseTo(taste[0] / Math.hypot(...taste), 6);
  expect(chess.likeness).toBeCloseTo(taste[1] / Math.hypot(...taste), 6);
});

test("only the post's own topics count, by their weights", () => {
  const state = after(
    follow("1", "2"),
    ...Array.from({ length: 9 }, (_, i) => post(`2${i}`, "2", "tea")),
    post("30", "3", "chess"),
    post("40", "4", "tea", "chess"),
  );
  const lift = (id: string) => read(state, "1", id).followed_topics as number;
  expect(lift("20")).toBeGreaterThan(0);
  expect(lift("30")).toBeLessThan(0);
  expect(lift("40")).toBeCloseTo((lift("20") + lift("30")) / 2, 6);
});

test("an unfollow takes the author's topics out again, and reposts say nothing of who reposts", () => {
  const events = [post("20", "2", "tea"), post("30", "3", "chess")];
  const repost: Event = {
    ...(post("31", "3") as Event & { type: "post_created" }),
    repost_of_post_id: "20",
    repost_of_author_id: "2",
  };
  const before = read(after(...events), "1", "20", "2");
  const ended = read(after(follow("1", "2"), unfollow("1", "2"), ...events), "1", "20", "2");
  expect(ended).toEqual(before);
  const state = after(follow("1", "3"), ...events, repost);
  expect(read(state, "1", "20").followed_topics).toBeLessThan(0);
  // The repost itself is about tea.
  expect(read(state, "1", "31").followed_topics).toBeCloseTo(
    read(state, "1", "20").followed_topics as number,
    6,
  );
});

test("with more follows than are kept the newest speak", () => {
  const authors = Array.from({ length: 200 }, (_, i) => String(1000 + i));
  const state = after(
    ...authors.map((id) => follow("1", id)),
    ...authors.map((id, i) => post(`9${id}`, id, i < 72 ? "tea" : "chess")),
  );
  expect(read(state, "1", "91000", "1000", T).followed_authors).toBeCloseTo(128 / 2, 5);
  expect(read(state, "1", "91000").followed_topics).toBeLessThan(-1);
  expect(read(state, "1", "91199").followed_topics).toBeGreaterThan(0);
});

test("likenesses keep to 0–1, and nothing is infinite for strangers, unknown posts and unknown authors", () => {
  const state = after(follow("1", "2"), post("20", "2", "tea"), seen("1", "20", "not_interested"));
  for (const user of ["1", "77"])
    for (const postId of ["20", "99"])
      for (const author of ["2", "88", undefined])
        for (const [name, value] of Object.entries(read(state, user, postId, author))) {
          expect(Math.abs(value), name).not.toBe(Number.POSITIVE_INFINITY);
          if (name.endsWith("likeness") && !Number.isNaN(value)) {
            expect(value).toBeGreaterThanOrEqual(0);
            expect(value).toBeLessThanOrEqual(1 + 1e-6);
          }
        }
  expect(Object.values(read(new MemoryState(), "1", "20", "2")).every(Number.isNaN)).toBe(true);
});
