import { deserialize, serialize } from "node:v8";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Event } from "../datasets/events.ts";
import { HOUR, NOON, post, postDeleted, userDeleted } from "./events.fixture.ts";
import { type AuthorList, PostStore, type StoredPost } from "./post-store.ts";

const LISTS: readonly AuthorList[] = ["originals", "secondary", "videos"];
const storeOf = (
  events: readonly Event[],
  options?: { retentionHours: number; listLimit: number },
) => {
  const store = new PostStore(options);
  for (const event of events) store.apply(event);
  return store;
};
const ids = (store: PostStore, author: string, list: AuthorList) =>
  store.byAuthor(author)[list].posts.map(({ postId }) => postId);
const reply = (id: string, author: string, to: string, more = {}) =>
  post(id, author, {
    in_reply_to_post_id: to,
    in_reply_to_author_id: "5",
    conversation_id: to,
    ...more,
  });
/** Five passes: every author had a turn. */
const trimmed = (store: PostStore, nowMs: number) => {
  for (let turn = 0; turn < 5; turn++) store.trim(nowMs);
};

test("a post is known by id with all that its record says", () => {
  const store = storeOf([
    post("1", "2", {
      text: "hello",
      language: "en",
      media: "video",
      video_ms: 9000,
      quote_of_post_id: "8",
      quote_of_author_id: "9",
      topics: ["tea"],
      safety_labels: ["spam"],
    }),
  ]);
  expect(store.get("1")).toMatchObject({
    postId: "1",
    authorId: "2",
    createdAtMs: NOON - HOUR,
    kind: "original",
    text: "hello",
    language: "en",
    media: "video",
    videoMs: 9000,
    conversationId: "1",
    inReplyToPostId: undefined,
    inReplyToAuthorId: undefined,
    repostOfPostId: undefined,
    repostOfAuthorId: undefined,
    quoteOfPostId: "8",
    quoteOfAuthorId: "9",
    topics: ["tea"],
    safetyLabels: ["spam"],
  });
  expect(store.get("2")).toBeUndefined();
  expect(store.size).toBe(1);
});

test("originals and quotes, replies and reposts, and videos have their own lists", () => {
  const store = storeOf([
    post("1", "2"),
    post("2", "2", { quote_of_post_id: "1", quote_of_author_id: "2" }),
    reply("3", "2", "1"),
    post("4", "2", { repost_of_post_id: "1", repost_of_author_id: "2" }),
    post("5", "2", { media: "video" }),
  ]);
  expect(LISTS.map((list) => ids(store, "2", list))).toEqual([["1", "2", "5"], ["3", "4"], ["5"]]);
});

test("a repost of a video counts as a video, a reply with one does not, nor a repost of such a reply", () => {
  const store = storeOf([
    post("1", "2", { media: "video" }),
    reply("2", "2", "1", { media: "video" }),
    post("3", "2", { repost_of_post_id: "1", repost_of_author_id: "2" }),
    post("4", "2", { repost_of_post_id: "2", repost_of_author_id: "2" }),
    post("5", "2", { repost_of_post_id: "404", repost_of_author_id: "2" }),
  ]);
  expect(ids(store, "2", "videos")).toEqual(["1", "3"]);
});

test("lists are in order of time, whatever the order of arrival", () => {
  const times = [5, 1, 4, 1, 3, 9, 2];
  const store = storeOf(times.map((t, i) => post(`${i}`, "2", { time_ms: NOON - HOUR + t })));
  expect(store.byAuthor("2").originals.posts.map((p) => p.createdAtMs - NOON + HOUR)).toEqual(
    times.toSorted((a, b) => a - b),
  );
});

test("a repeated create changes nothing", () => {
  const store = storeOf([post("1", "2", { text: "first" }), post("1", "2", { text: "again" })]);
  expect(store.get("1")?.text).toBe("first");
  expect(ids(store, "2", "originals")).toEqual(["1"]);
});

test("beyond an author's list limit the oldest leave every place that they are in", () => {
  const options = { retentionHours: 48, listLimit: 3 };
  const video = (id: string, minute: number) =>
    post(id, "2", { media: "video", time_ms: NOON - HOUR + minute });
  const store = storeOf(
    [1, 2, 3, 4, 5].map((i) => video(`${i}`, i)),
    options,
  );
  expect(ids(store, "2", "originals")).toEqual(["3", "4", "5"]);
  expect(ids(store, "2", "videos")).toEqual(["3", "4", "5"]);
  expect([store.get("1"), store.get("2")]).toEqual([undefined, undefined]);
  // Older than all that a full list holds: it is itself the one that does not fit.
  store.apply(video("0", 0));
  expect(store.get("0")).toBeUndefined();
  expect(ids(store, "2", "videos")).toEqual(["3", "4", "5"]);
  // An original without video pushes out the oldest, which is one.
  store.apply(post("6", "2", { time_ms: NOON - HOUR + 6 }));
  expect(ids(store, "2", "videos")).toEqual(["4", "5"]);
  expect(store.size).toBe(3);
});

test("a deleted post is gone and a create that comes late does not bring it back", () => {
  const store = storeOf([post("1", "2", { media: "video" }), postDeleted("1"), postDeleted("7")]);
  store.apply(post("1", "2"));
  store.apply(post("7", "2"));
  expect([store.get("1"), store.get("7")]).toEqual([undefined, undefined]);
  expect(LISTS.flatMap((list) => ids(store, "2", list))).toEqual([]);
  expect([store.isDeleted("1"), store.isDeleted("7"), store.isDeleted("8")]).toEqual([
    true,
    true,
    false,
  ]);
});

test("tombstones last for the retention, after which a create is too old anyway", () => {
  const store = storeOf([postDeleted("1", NOON), userDeleted("4", NOON)]);
  store.trim(NOON + 48 * HOUR);
  expect(store.isDeleted("1")).toBe(true);
  store.trim(NOON + 48 * HOUR + 1);
  expect(store.isDeleted("1")).toBe(false);
  store.apply(post("2", "2", { time_ms: NOON + 48 * HOUR + 1 }));
  store.apply(post("1", "2", { time_ms: NOON - 1 }));
  store.apply(post("3", "4", { time_ms: NOON - 1 }));
  expect([store.get("1"), store.get("3")]).toEqual([undefined, undefined]);
});

test("a create older than the retention is not taken", () => {
  const store = storeOf([post("1", "2", { time_ms: NOON })]);
  store.apply(post("2", "2", { time_ms: NOON - 48 * HOUR - 1 }));
  store.apply(post("3", "2", { time_ms: NOON - 48 * HOUR }));
  expect(ids(store, "2", "originals")).toEqual(["3", "1"]);
});

test("five passes of trimming forget everything past retention and nothing else", () => {
  const store = new PostStore({ retentionHours: 1, listLimit: 100 });
  const events = Array.from({ length: 400 }, (_, i) =>
    post(`${i}`, `${i % 23}`, {
      time_ms: NOON - (400 - i) * 18_000,
      media: i % 3 === 0 ? "video" : "none",
      ...(i % 4 === 0 ? { in_reply_to_post_id: "1" } : {}),
    }),
  );
  for (const event of events) store.apply(event);
  trimmed(store, NOON);
  const kept = events.filter((event) => event.time_ms >= NOON - HOUR);
  expect(new Set([...store.values()].map(({ postId }) => postId))).toEqual(
    new Set(kept.map((event) => (event as Event & { post_id: string }).post_id)),
  );
  for (let author = 0; author < 23; author++)
    for (const list of LISTS)
      for (const p of store.byAuthor(`${author}`)[list].posts) expect(store.get(p.postId)).toBe(p);
  trimmed(store, NOON + 2 * HOUR);
  expect(store.size).toBe(0);
});

test("one pass looks at a fifth of the authors, and each author's turn comes although others leave", () => {
  const store = new PostStore({ retentionHours: 1, listLimit: 100 });
  for (let i = 0; i < 50; i++) store.apply(post(`${i}`, `${i}`, { time_ms: NOON - 2 * HOUR + i }));
  const left: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    store.trim(NOON);
    left.push(store.size);
  }
  expect(left).toEqual([40, 30, 20, 10, 0]);
});

test("a deleted user's posts are gone and late ones do not come back, but a new account may post", () => {
  const store = storeOf([post("1", "2"), reply("2", "2", "9"), post("3", "4"), userDeleted("2")]);
  store.apply(post("5", "2", { time_ms: NOON - 5 }));
  expect([...store.values()].map(({ postId }) => postId)).toEqual(["3"]);
  expect(LISTS.flatMap((list) => ids(store, "2", list))).toEqual([]);
  store.apply(post("6", "2", { time_ms: NOON + 1 }));
  expect(ids(store, "2", "originals")).toEqual(["6"]);
});

/** Random creates, deletes and account deletions of few posts and authors, in any order of time. */
const history = fc.array(
  fc.record({
    kind: fc.constantFrom("post", "post", "post", "post", "reply", "repost", "delete", "leave"),
    id: fc.nat({ max: 25 }),
    author: fc.nat({ max: 4 }),
    at: fc.nat({ max: 60 }),
    video: fc.boolean(),
    source: fc.nat({ max: 25 }),
  }),
  { maxLength: 60 },
);
type Step = (typeof history extends fc.Arbitrary<infer T> ? T : never) extends (infer S)[]
  ? S
  : never;
const toEvent = ({ kind, id, author, at, video, source }: Step): Event => {
  const timeMs = NOON + at * HOUR;
  if (kind === "delete") return postDeleted(`${id}`, timeMs);
  if (kind === "leave") return userDeleted(`${author}`, timeMs);
  return post(`${id}`, `${author}`, {
    time_ms: timeMs,
    media: video ? "video" : "none",
    ...(kind === "reply" ? { in_reply_to_post_id: `${source}` } : {}),
    ...(kind === "repost" ? { repost_of_post_id: `${source}`, repost_of_author_id: "1" } : {}),
  });
};

test("for any history the lists hold exactly the posts that are known, each in its place", () => {
  fc.assert(
    fc.property(history, (steps) => {
      const store = storeOf(steps.map(toEvent), { retentionHours: 24, listLimit: 6 });
      const listed = new Set<string>();
      for (let author = 0; author <= 4; author++) {
        for (const list of ["originals", "secondary"] as const)
          for (const p of store.byAuthor(`${author}`)[list].posts) {
            expect(p.authorId).toBe(`${author}`);
            expect(p.kind === "original").toBe(list === "originals");
            listed.add(p.postId);
          }
        for (const list of LISTS) {
          const { posts, times } = store.byAuthor(`${author}`)[list];
          expect(times).toEqual(posts.map((p) => p.createdAtMs));
          expect(times).toEqual(times.toSorted((a, b) => a - b));
          expect(times.length).toBeLessThanOrEqual(6);
        }
        for (const p of store.byAuthor(`${author}`).videos.posts)
          expect(store.get(p.postId)).toBe(p);
      }
      expect(listed).toEqual(new Set([...store.values()].map((p) => p.postId)));
    }),
  );
});

test("a snapshot restores to a store that answers and goes on as the old one", () => {
  fc.assert(
    fc.property(history, history, (before, later) => {
      const options = { retentionHours: 24, listLimit: 6 };
      const store = storeOf(before.map(toEvent), options);
      const restored = new PostStore(options);
      restored.restore(deserialize(serialize(store.snapshot())));
      const seen = (s: PostStore) => [
        new Map([...s.values()].map((p) => [p.postId, p])),
        ...[0, 1, 2, 3, 4].flatMap((a) => LISTS.map((list) => [...s.byAuthor(`${a}`)[list].posts])),
        Array.from({ length: 26 }, (_, i) => s.isDeleted(`${i}`)),
      ];
      expect(seen(restored)).toEqual(seen(store));
      for (const event of later.map(toEvent)) {
        store.apply(event);
        restored.apply(event);
      }
      trimmed(store, NOON + 40 * HOUR);
      trimmed(restored, NOON + 40 * HOUR);
      expect(seen(restored)).toEqual(seen(store));
    }),
  );
});

test("a reply's parent is found whether it came before or after, and not when it is gone", () => {
  const store = storeOf([reply("2", "5", "1")]);
  const parent = () => store.parentOf(store.get("2") as StoredPost)?.postId;
  expect(parent()).toBeUndefined();
  store.apply(post("1", "7"));
  expect(parent()).toBe("1");
  store.apply(postDeleted("1"));
  expect(parent()).toBeUndefined();
  expect(store.parentOf(storeOf([post("1", "7")]).get("1") as StoredPost)).toBeUndefined();
});

test("a parent that was looked up is not written into the snapshot", () => {
  const store = storeOf([post("1", "7"), reply("2", "5", "1")]);
  const before = serialize(store.snapshot());
  store.parentOf(store.get("2") as StoredPost);
  expect(serialize(store.snapshot())).toEqual(before);
});
