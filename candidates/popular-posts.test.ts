import { deserialize, serialize } from "node:v8";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Event } from "../datasets/events.ts";
import { HEAD_BY_NAME } from "../datasets/heads.ts";
import {
  engagement,
  HOUR,
  MINUTE,
  NOON,
  post,
  postDeleted,
  userDeleted,
} from "./events.fixture.ts";
import { PopularPosts } from "./popular-posts.ts";
import { PostStore } from "./post-store.ts";

const popularOf = (events: readonly Event[], retentionHours = 48): PopularPosts => {
  const popular = new PopularPosts(retentionHours);
  for (const event of events) popular.apply(event);
  return popular;
};
const top = (popular: PopularPosts, nowMs = NOON, languages: readonly string[] = [], limit = 100) =>
  popular.top(nowMs, limit, new Set(languages), () => true).postIds;
const favorites = (postId: string, n: number, timeMs = NOON - MINUTE): Event[] =>
  Array.from({ length: n }, () => engagement(postId, "favorite", timeMs));
const three = [post("1", "10"), post("2", "20"), post("3", "30")];

test("posts come by how many welcome actions they have, with their authors", () => {
  const popular = popularOf([...three, ...favorites("2", 5), ...favorites("3", 2)]);
  expect(popular.top(NOON, 2, new Set(), () => true)).toEqual({
    postIds: ["2", "3"],
    authorIds: ["20", "30"],
    inHand: [undefined, undefined],
  });
});

test("posts that are stored whole are given with the ids", () => {
  const stored = new PostStore();
  const popular = new PopularPosts(undefined, stored);
  for (const event of three) {
    stored.apply(event);
    popular.apply(event);
  }
  const { postIds, inHand } = popular.top(NOON, 2, new Set(), () => true);
  expect(inHand).toEqual(postIds.map((id) => stored.get(id)));
});

test("an action loses half its worth in six hours", () => {
  const actions = [
    ...favorites("1", 7, NOON - 12 * HOUR),
    ...favorites("2", 3, NOON - 6 * HOUR),
    ...favorites("3", 2, NOON),
  ];
  const old = three.map((event) => ({ ...event, time_ms: NOON - 20 * HOUR }));
  // 7/4, 3/2 and 2.
  expect(top(popularOf([...old, ...actions]))).toEqual(["3", "1", "2"]);
});

test("frequent actions count a tenth of deliberate ones, unwelcome ones count against, undone ones not at all", () => {
  const clicks = (id: string, n: number) =>
    Array.from({ length: n }, () => engagement(id, "click", NOON));
  const popular = popularOf([
    ...three,
    ...favorites("1", 1, NOON),
    ...clicks("2", 12),
    ...favorites("3", 5, NOON),
    ...Array.from({ length: 5 }, () => engagement("3", "favorite", NOON, { undo: true })),
    engagement("3", "not_interested", NOON),
    engagement("1", "dwell_seconds", NOON, { value: 600 }),
  ]);
  expect(top(popular)).toEqual(["2", "1", "3"]);
});

test("posts that nobody acted on yet come after, newest first", () => {
  const events = [3, 1, 2].map((i) => post(`${i}`, "9", { time_ms: NOON - i * HOUR }));
  const acted = post("8", "9", { time_ms: NOON - 10 * HOUR });
  expect(top(popularOf([...events, acted, engagement("8", "favorite", NOON)]))).toEqual([
    "8",
    "1",
    "2",
    "3",
  ]);
});

test("replies and reposts are no candidates", () => {
  const popular = popularOf([
    post("1", "2", { in_reply_to_post_id: "9" }),
    post("3", "2", { repost_of_post_id: "9", repost_of_author_id: "4" }),
    post("5", "2", { quote_of_post_id: "9", quote_of_author_id: "4" }),
  ]);
  expect(top(popular)).toEqual(["5"]);
});

test("with languages, posts known to be in others are passed over, and posts of unknown language stay", () => {
  const popular = popularOf([
    post("1", "2", { language: "en" }),
    post("2", "2", { language: "ja" }),
    post("3", "2"),
  ]);
  expect(top(popular, NOON, ["ja", "de"]).sort()).toEqual(["2", "3"]);
  expect(top(popular).sort()).toEqual(["1", "2", "3"]);
});

test("only wanted posts are taken, and the limit counts those", () => {
  const popular = popularOf([...three, ...favorites("1", 3), ...favorites("2", 2)]);
  const seen: [string, string, number][] = [];
  const answer = popular.top(NOON, 1, new Set(), (postId, authorId, createdAtMs) => {
    seen.push([postId, authorId, createdAtMs]);
    return postId !== "1";
  });
  expect(answer.postIds).toEqual(["2"]);
  expect(seen).toEqual([
    ["1", "10", NOON - HOUR],
    ["2", "20", NOON - HOUR],
  ]);
});

test("posts of the future and posts past retention are left out", () => {
  const popular = popularOf(
    [
      post("1", "2", { time_ms: NOON + 1 }),
      post("2", "2", { time_ms: NOON - 3 * HOUR }),
      post("3", "2", { time_ms: NOON - 3 * HOUR - 1 }),
    ],
    3,
  );
  expect(top(popular)).toEqual(["2"]);
});

test("a deleted post leaves at once and a late create does not bring it back, nor does a repeated one begin anew", () => {
  const popular = popularOf([...three, ...favorites("1", 5), ...favorites("2", 3)]);
  expect(top(popular)).toEqual(["1", "2", "3"]);
  popular.apply(postDeleted("1"));
  popular.apply(post("1", "10"));
  popular.apply(post("2", "20"));
  expect(top(popular)).toEqual(["2", "3"]);
  expect(top(popular, NOON + HOUR)).toEqual(["2", "3"]);
});

test("a deleted user's posts leave and late ones do not come back", () => {
  const popular = popularOf([...three, post("4", "10"), userDeleted("10")]);
  popular.apply(post("5", "10"));
  expect(top(popular).sort()).toEqual(["2", "3"]);
});

test("trimming forgets posts and deletions past retention", () => {
  const popular = popularOf([...three, postDeleted("9")]);
  popular.trim(NOON + 47 * HOUR);
  expect(top(popular, NOON)).toHaveLength(3);
  popular.trim(NOON + 48 * HOUR + 1);
  const { posts, tombstones } = popular.snapshot() as {
    posts: unknown[];
    tombstones: Map<string, number>;
  };
  expect([posts.length, tombstones.size]).toEqual([0, 0]);
});

const HEADS = ["favorite", "reply", "click", "video_view", "not_interested", "block_author"];
const world = fc.record({
  posts: fc.array(fc.record({ author: fc.nat({ max: 5 }), minutes: fc.nat({ max: 3000 }) }), {
    maxLength: 25,
  }),
  actions: fc.array(
    fc.record({
      post: fc.nat({ max: 25 }),
      head: fc.constantFrom(...HEADS),
      minutes: fc.nat({ max: 3000 }),
      undo: fc.boolean(),
    }),
    { maxLength: 80 },
  ),
});
type World = typeof world extends fc.Arbitrary<infer T> ? T : never;
const toEvents = ({ posts, actions }: World): Event[] => [
  ...posts.map(({ author, minutes }, i) =>
    post(`${i}`, `${author}`, { time_ms: NOON - minutes * MINUTE }),
  ),
  ...actions.map(({ post: id, head, minutes, undo }) =>
    engagement(`${id}`, head, NOON - minutes * MINUTE, undo ? { undo } : {}),
  ),
];

test("for any world and order of arrival the order is that of the decayed sums over the raw events", () => {
  fc.assert(
    fc.property(world, (made) => {
      const worth = (minutes: number) => 2 ** (-minutes / 360);
      const score = made.posts.map(({ minutes }, i) =>
        made.actions
          .filter((action) => action.post === i)
          .reduce((sum, { head, minutes: ago, undo }) => {
            const amount = head === "favorite" || head === "reply" ? 1 : 0.1;
            const sign = (HEAD_BY_NAME.get(head)?.sign ?? 0) * (undo ? -1 : 1);
            return sum + sign * amount * worth(ago);
          }, 0.05 * worth(minutes)),
      );
      const fresh = made.posts.flatMap(({ minutes }, i) => (minutes <= 48 * 60 ? [i] : []));
      const order = top(popularOf(toEvents(made))).map(Number);
      expect(order.toSorted((a, b) => a - b)).toEqual(fresh);
      for (let i = 1; i < order.length; i++) {
        const [a, b] = [score[order[i - 1] as number], score[order[i] as number]] as [
          number,
          number,
        ];
        expect(a).toBeGreaterThanOrEqual(b - 1e-9);
      }
    }),
  );
});

test("a snapshot restores to the same order and the same deletions", () => {
  fc.assert(
    fc.property(world, (made) => {
      const popular = popularOf([...toEvents(made), postDeleted("0"), userDeleted("1", NOON)]);
      const restored = new PopularPosts();
      restored.restore(deserialize(serialize(popular.snapshot())));
      const later = [post("0", "7"), post("50", "1"), ...favorites("3", 2)];
      for (const event of later) {
        popular.apply(event);
        restored.apply(event);
      }
      expect(top(restored)).toEqual(top(popular));
      expect(top(restored)).not.toContain("0");
      expect(top(restored)).not.toContain("50");
    }),
  );
});
