import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { HOUR, impression, MINUTE, NOON, post, postDeleted, relation } from "../events.fixture.ts";
import { bruteTimeline } from "./brute-timeline.fixture.ts";
import { MemoryTimelines } from "./memory-timelines.ts";
import { TimelineReader } from "./timeline-reader.ts";
import { TimelineSpace } from "./timeline-space.fixture.ts";

const at = (timeMs: number) => ({ time_ms: timeMs });

test("pages go past the 800 stored entries into the posts in memory, also after entries were taken out", async () => {
  const space = new TimelineSpace({ followerThreshold: 3 });
  const authors = Array.from({ length: 8 }, (_, i) => `${10 + i}`);
  const draw = random(1, "pages");
  await space.take(
    impression("1", "5", NOON),
    // One author whose posts are merged.
    ...["2", "3"].map((user) => relation("follow", user, "10")),
    ...authors.map((author) => relation("follow", "1", author)),
    ...Array.from({ length: 1_500 }, (_, i) =>
      post(`${1_000 + i}`, authors[draw.below(8)] as string, at(NOON + draw.below(600_000))),
    ),
  );
  expect(await space.store.count("1")).toBeGreaterThan(799);
  expect(await space.store.count("1")).toBeLessThan(901);
  expect(await space.readAll("1", 70)).toEqual(bruteTimeline(space.log, "1"));
  await space.take(
    relation("unfollow", "1", "11"),
    relation("mute", "1", "12"),
    ...Array.from({ length: 200 }, (_, i) => postDeleted(`${1_000 + 3 * i}`, NOON + 600_000)),
  );
  expect(await space.store.count("1")).toBeLessThan(800);
  const truth = bruteTimeline(space.log, "1");
  for (const limit of [1, 33, 500, 5_000]) expect(await space.readAll("1", limit)).toEqual(truth);
});

test("a timeline that is missing is answered from memory and made; the next answer comes from it", async () => {
  const space = new TimelineSpace();
  await space.take(relation("follow", "1", "9"), post("100", "9", at(NOON)));
  const request = { limit: 10, nowMs: NOON };
  const first = await space.reader.read("1", request);
  expect(first).toMatchObject({ rebuilt: true, supplemented: false, degraded: false });
  await space.fanOut.settled();
  const second = await space.reader.read("1", request);
  expect(second).toMatchObject({ rebuilt: false, posts: first.posts });
  expect(await space.stored("1")).toEqual(["100"]);
});

test("a reader nobody knows gets an empty page, and no timeline is kept of them", async () => {
  const space = new TimelineSpace();
  expect(await space.read("404")).toEqual([]);
  await space.fanOut.settled();
  expect([await space.store.count("404"), space.activity.lastMs("404")]).toEqual([0, undefined]);
});

test("when fan-out is more than five minutes behind, posts are looked up by author and the answer says so", async () => {
  const space = new TimelineSpace();
  await space.take(relation("follow", "1", "9"), impression("1", "5", NOON));
  space.hold();
  space.plan(post("100", "9", at(NOON + 5 * MINUTE)));
  const request = { limit: 10, nowMs: NOON + HOUR };
  expect(await space.reader.read("1", request)).toMatchObject({ supplemented: false });
  space.plan(post("101", "9", at(NOON + 5 * MINUTE + 1)));
  const page = await space.reader.read("1", request);
  expect(page).toMatchObject({ supplemented: true });
  expect(page.posts.map(({ postId }) => postId)).toEqual(["101", "100"]);
  space.release();
  await space.fanOut.settled();
  expect(await space.reader.read("1", request)).toMatchObject({ supplemented: false });
});

test("a store that does not answer makes the answer degraded, not wrong", async () => {
  const space = new TimelineSpace();
  await space.take(
    relation("follow", "1", "9"),
    impression("1", "5", NOON),
    post("100", "9", at(NOON)),
  );
  const errors: unknown[] = [];
  const store = new MemoryTimelines();
  store.read = () => Promise.reject(new Error("gone"));
  const { posts, graph, activity, pulled, fanOut } = space;
  const onError = (error: unknown) => void errors.push(error);
  const reader = new TimelineReader({ posts, graph, activity, pulled, fanOut, store, onError });
  const page = await reader.read("1", { limit: 10, nowMs: NOON });
  expect(page).toMatchObject({ degraded: true });
  expect(page.posts.map(({ postId }) => postId)).toEqual(["100"]);
  expect(errors).toHaveLength(1);
});

test("posts whose time has not come yet are left out until it has", async () => {
  const space = new TimelineSpace();
  await space.take(
    relation("follow", "1", "9"),
    impression("1", "5", NOON),
    post("100", "9", at(NOON)),
    post("101", "9", at(NOON + MINUTE)),
  );
  expect(await space.read("1", { nowMs: NOON })).toEqual(["100"]);
  expect(await space.read("1", { nowMs: NOON + MINUTE })).toEqual(["101", "100"]);
});

test("the last page says that nothing follows", async () => {
  const space = new TimelineSpace();
  await space.take(
    relation("follow", "1", "9"),
    impression("1", "5", NOON),
    ...["100", "101", "102"].map((id) => post(id, "9", at(NOON))),
  );
  const first = await space.reader.read("1", { limit: 2, nowMs: NOON });
  expect(first.next).toEqual({ postId: "101", timeMs: NOON });
  const second = await space.reader.read("1", { limit: 2, nowMs: NOON, after: first.next });
  expect(second.posts.map(({ postId }) => postId)).toEqual(["102"]);
  expect(second.next).toBeUndefined();
});
