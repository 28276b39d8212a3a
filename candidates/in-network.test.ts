import fc from "fast-check";
import { expect, test } from "vitest";
import type { Event, EventOf } from "../datasets/events.ts";
import { HOUR, MINUTE, NOON, post } from "./events.fixture.ts";
import { IN_NETWORK_LIMITS, type InNetworkRequest, inNetworkPosts } from "./in-network.ts";
import { PostStore } from "./post-store.ts";

const storeOf = (events: readonly Event[]): PostStore => {
  const store = new PostStore();
  for (const event of events) store.apply(event);
  return store;
};
const asked = (more: Partial<InNetworkRequest> = {}): InNetworkRequest => ({
  viewerId: "1",
  followedIds: new Set(["2", "3"]),
  excludedPostIds: new Set(),
  nowMs: NOON,
  maxAgeHours: 48,
  limit: 1200,
  ...more,
});
const found = (events: readonly Event[], more: Partial<InNetworkRequest> = {}): string[] =>
  inNetworkPosts(storeOf(events), asked(more)).map(({ postId }) => postId);
const minutesAgo = (minutes: number) => ({ time_ms: NOON - minutes * MINUTE });
const many = <T>(n: number, make: (i: number) => T): T[] =>
  Array.from({ length: n }, (_, i) => make(i));
const answer = (id: string, author: string, to: string, toAuthor: string, root: string) =>
  post(id, author, {
    in_reply_to_post_id: to,
    in_reply_to_author_id: toAuthor,
    conversation_id: root,
    ...minutesAgo(1),
  });

test("posts by followed accounts come newest first, ties by id as a number", () => {
  const events = [
    post("9", "2", minutesAgo(5)),
    post("10", "3", minutesAgo(5)),
    post("11", "2", minutesAgo(1)),
    post("12", "4", minutesAgo(1)),
  ];
  expect(found(events)).toEqual(["11", "9", "10"]);
});

test("of one author at most 50 originals and 30 replies or reposts are taken, the newest", () => {
  const events = [
    ...many(70, (i) => post(`${1000 + i}`, "2", minutesAgo(i + 1))),
    ...many(40, (i) =>
      post(`${2000 + i}`, "2", {
        repost_of_post_id: "5",
        repost_of_author_id: "6",
        ...minutesAgo(i + 1),
      }),
    ),
  ];
  const ids = found(events);
  expect(ids.filter((id) => id < "2000")).toEqual(many(50, (i) => `${1000 + i}`));
  expect(ids.filter((id) => id >= "2000")).toEqual(many(30, (i) => `${2000 + i}`));
});

test("a request for videos takes at most 100 of an author and 600 in all", () => {
  const videos = (author: string, n: number) =>
    many(n, (i) => post(`${author}${1000 + i}`, author, { media: "video", ...minutesAgo(i + 1) }));
  const one = found([...videos("2", 150), post("7", "2")], { videosOnly: true });
  expect(one).toHaveLength(100);
  expect(one).not.toContain("7");
  const authors = ["2", "3", "4", "5", "6", "7", "8"];
  const all = found(
    authors.flatMap((author) => videos(author, 100)),
    { videosOnly: true, followedIds: new Set(authors) },
  );
  expect(all).toHaveLength(IN_NETWORK_LIMITS.videoResults);
});

test("at most 1,200 posts are returned and at most 10,000 followed accounts read", () => {
  const authors = many(30, (i) => `${10_000 + i}`);
  const events = authors.flatMap((author) =>
    many(50, (i) => post(`${author}${100 + i}`, author, minutesAgo(i + 1))),
  );
  expect(found(events, { followedIds: new Set(authors) })).toHaveLength(1200);
  expect(found(events, { followedIds: new Set(authors), limit: 7 })).toHaveLength(7);
  const strangers = Array.from({ length: 9_999 }, (_, i) => `${500_000 + i}`);
  const crowd = new Set([...strangers, ...authors]);
  expect(new Set(found(events, { followedIds: crowd }).map((id) => id.slice(0, 5)))).toEqual(
    new Set([authors[0]]),
  );
});

test("at most 500 posts of a list are looked at, not counting excluded ones", () => {
  const foreign = (i: number) => answer(`${3000 + i}`, "2", "404", "9", "404");
  const events = [
    post("1", "2", { ...minutesAgo(2), repost_of_post_id: "5", repost_of_author_id: "6" }),
    ...many(500, foreign),
  ];
  expect(found(events)).toEqual([]);
  expect(found(events, { excludedPostIds: new Set(["3000"]) })).toEqual(["1"]);
});

test("excluded posts, posts past the age limit and posts from the future are left out", () => {
  const events = [
    post("1", "2", minutesAgo(1)),
    post("2", "2", minutesAgo(60)),
    post("3", "2", minutesAgo(61)),
    post("4", "2", minutesAgo(0)),
    post("5", "2", minutesAgo(-1)),
  ];
  expect(found(events, { maxAgeHours: 1, excludedPostIds: new Set(["1"]) })).toEqual(["4", "2"]);
});

test("a repost of the viewer's own post is left out", () => {
  const repost = (id: string, of: string) =>
    post(id, "2", { repost_of_post_id: "77", repost_of_author_id: of });
  expect(found([repost("1", "1"), repost("2", "9")])).toEqual(["2"]);
});

test("replies are taken to originals, and to followed accounts' replies directly under the conversation's root", () => {
  const events = [
    post("10", "9", minutesAgo(9)),
    // First level: the followed account 3 and the stranger 8 answer the root.
    answer("11", "3", "10", "9", "10"),
    answer("12", "8", "10", "9", "10"),
    // Second level, by the followed account 2.
    answer("21", "2", "11", "3", "10"),
    answer("22", "2", "12", "8", "10"),
    // Third level: the parent does not stand under the root.
    answer("31", "2", "21", "2", "10"),
    // A parent that is not here, and one in another conversation.
    answer("41", "2", "404", "3", "10"),
    answer("42", "2", "11", "3", "99"),
    // A reply to a repost.
    post("50", "3", { repost_of_post_id: "10", repost_of_author_id: "9", ...minutesAgo(1) }),
    answer("51", "2", "50", "3", "50"),
  ];
  expect(found(events).sort()).toEqual(["11", "21", "50"]);
});

test("for any world the answer is what a scan over all posts gives", () => {
  const world = fc.array(
    fc.record({
      author: fc.nat({ max: 6 }),
      minutes: fc.nat({ max: 40 }),
      form: fc.constantFrom("original", "original", "reply", "reply", "repost"),
      parent: fc.nat({ max: 60 }),
      video: fc.boolean(),
    }),
    { maxLength: 60 },
  );
  const request = fc.record({
    follows: fc.uniqueArray(fc.nat({ max: 6 })),
    excluded: fc.uniqueArray(fc.nat({ max: 60 }), { maxLength: 10 }),
    limit: fc.nat({ max: 30 }),
    maxAgeMinutes: fc.integer({ min: 1, max: 50 }),
    videosOnly: fc.boolean(),
  });
  fc.assert(
    fc.property(world, request, (made, { follows, excluded, limit, maxAgeMinutes, videosOnly }) => {
      const events: EventOf<"post_created">[] = [];
      for (const [i, { author, minutes, form, parent, video }] of made.entries()) {
        const source = events[parent];
        events.push(
          post(`${i}`, `${author}`, {
            ...minutesAgo(minutes - 2),
            media: video ? "video" : "none",
            ...(source === undefined || form === "original"
              ? {}
              : form === "repost"
                ? { repost_of_post_id: source.post_id, repost_of_author_id: source.author_id }
                : {
                    in_reply_to_post_id: source.post_id,
                    in_reply_to_author_id: source.author_id,
                    conversation_id: source.conversation_id ?? source.post_id,
                  }),
          }) as EventOf<"post_created">,
        );
      }
      const asking = asked({
        followedIds: new Set(follows.map(String)),
        excludedPostIds: new Set(excluded.map(String)),
        limit,
        maxAgeHours: maxAgeMinutes / 60,
        videosOnly,
      });
      expect(inNetworkPosts(storeOf(events), asking).map((p) => p.postId)).toEqual(
        scan(events, asking),
      );
    }),
    { numRuns: 300 },
  );
});

test("around the limit of an author the newest 50 that are neither excluded nor of the future nor too old are taken", () => {
  const world = fc.record({
    posts: fc.integer({ min: 45, max: 75 }),
    future: fc.nat({ max: 5 }),
    young: fc.integer({ min: 45, max: 60 }),
    excluded: fc.uniqueArray(fc.nat({ max: 74 }), { maxLength: 20 }),
  });
  fc.assert(
    fc.property(fc.array(world, { minLength: 1, maxLength: 3 }), (authors) => {
      const id = (author: number, i: number): string => `${(author + 1) * 1000 + i}`;
      const events = authors.flatMap(({ posts, future }, author) =>
        many(posts, (i) => post(id(author, i), `${author}`, minutesAgo(i + 1 - future))),
      );
      // One age limit for all: that of the first.
      const maxAgeHours = ((authors[0] as { young: number }).young * MINUTE) / HOUR;
      const excludedPostIds = new Set(
        authors.flatMap(({ excluded }, author) => excluded.map((i) => id(author, i))),
      );
      const expected = authors.flatMap(({ posts, future }, author) =>
        many(posts, (i) => ({ postId: id(author, i), age: (i + 1 - future) * MINUTE }))
          .filter(({ age }) => age >= 0 && age <= maxAgeHours * HOUR)
          .filter(({ postId }) => !excludedPostIds.has(postId))
          .slice(0, IN_NETWORK_LIMITS.originals),
      );
      const followedIds = new Set(authors.map((_, author) => `${author}`));
      expect(found(events, { followedIds, excludedPostIds, maxAgeHours })).toEqual(
        expected
          .sort((a, b) => a.age - b.age || Number(a.postId) - Number(b.postId))
          .map(({ postId }) => postId),
      );
    }),
    { numRuns: 60 },
  );
});

/** The same question answered from the records alone. Worlds here stay below the limits per author. */
function scan(events: readonly EventOf<"post_created">[], asking: InNetworkRequest): string[] {
  const byId = new Map(events.map((event) => [event.post_id, event]));
  const wanted = events.filter((event) => {
    const age = asking.nowMs - event.time_ms;
    if (!asking.followedIds.has(event.author_id) || asking.excludedPostIds.has(event.post_id))
      return false;
    if (age < 0 || age > asking.maxAgeHours * HOUR) return false;
    const source = byId.get(event.repost_of_post_id ?? "");
    const isReply = event.in_reply_to_post_id !== undefined;
    if (event.repost_of_author_id === asking.viewerId) return false;
    if (asking.videosOnly) {
      const sourceIsVideo = source?.media === "video" && source.in_reply_to_post_id === undefined;
      return !isReply && (event.media === "video" || sourceIsVideo);
    }
    if (!isReply) return true;
    const parent = byId.get(event.in_reply_to_post_id as string) as EventOf<"post_created">;
    if (parent.in_reply_to_post_id === undefined && parent.repost_of_post_id === undefined)
      return true;
    return (
      parent.in_reply_to_post_id === event.conversation_id &&
      asking.followedIds.has(event.in_reply_to_author_id as string)
    );
  });
  return wanted
    .sort((a, b) => b.time_ms - a.time_ms || Number(a.post_id) - Number(b.post_id))
    .slice(0, asking.limit)
    .map((event) => event.post_id);
}
