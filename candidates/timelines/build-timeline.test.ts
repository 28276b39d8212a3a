import { expect, test } from "vitest";
import type { Event } from "../../datasets/events.ts";
import { NOON, post, relation } from "../events.fixture.ts";
import { PostStore } from "../post-store.ts";
import { SocialGraph } from "../social-graph.ts";
import { buildTimeline, isPushedTo } from "./build-timeline.ts";
import { PULLED_AUTHORS, PulledAuthors } from "./pulled-authors.ts";

const factsOf = (events: readonly Event[], followerThreshold = 10_000) => {
  const posts = new PostStore();
  const graph = new SocialGraph();
  const pulled = new PulledAuthors(graph, { ...PULLED_AUTHORS, followerThreshold });
  for (const event of events) {
    posts.apply(event);
    graph.apply(event);
    pulled.apply(event);
  }
  return { posts, graph, pulled };
};
const at = (timeMs: number) => ({ time_ms: timeMs });

test("a built timeline has the 800 newest posts and the time from which it is not complete", () => {
  const posts = Array.from({ length: 810 }, (_, i) => post(`${1_000 + i}`, "9", at(NOON + i)));
  const built = buildTimeline("1", factsOf([relation("follow", "1", "9"), ...posts]), NOON);
  expect(built.entries).toHaveLength(800);
  expect(built.entries[0]).toEqual({ postId: "1809", timeMs: NOON + 809 });
  expect(built).toMatchObject({ floorMs: NOON + 9, builtAtMs: NOON });
});

test("a timeline that has all posts is complete, and leaves out pulled, muted and blocked authors", () => {
  const facts = factsOf(
    [
      ...["2", "3", "4", "5"].map((author) => relation("follow", "1", author)),
      relation("follow", "9", "5"),
      relation("mute", "1", "3"),
      relation("block", "4", "1"),
      ...["2", "3", "4", "5"].map((author) => post(`10${author}`, author, at(NOON))),
    ],
    2,
  );
  expect(buildTimeline("1", facts, NOON)).toEqual({
    entries: [{ postId: "102", timeMs: NOON }],
    floorMs: -1,
    builtAtMs: NOON,
  });
});

test("a repost of the follower's own post, and a reply too deep for anybody, are not pushed", () => {
  const reply = (id: string, to: string) =>
    post(id, "9", {
      in_reply_to_post_id: to,
      in_reply_to_author_id: "9",
      conversation_id: "100",
      ...at(NOON),
    });
  const facts = factsOf([
    post("100", "9", at(NOON)),
    reply("101", "100"),
    reply("102", "101"),
    reply("103", "102"),
    reply("104", "404"),
    post("105", "9", { repost_of_post_id: "50", repost_of_author_id: "1", ...at(NOON) }),
  ]);
  const pushed = (userId: string) =>
    [...facts.posts.values()].filter((one) => isPushedTo(userId, one, facts));
  // 104 answers a post that may come late.
  expect(pushed("1").map(({ postId }) => postId)).toEqual(["100", "101", "102", "104"]);
  expect(pushed("2").map(({ postId }) => postId)).toEqual(["100", "101", "102", "104", "105"]);
});
