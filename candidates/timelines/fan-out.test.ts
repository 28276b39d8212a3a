import { expect, test } from "vitest";
import type { Event } from "../../datasets/events.ts";
import {
  engagement,
  HOUR,
  impression,
  NOON,
  post,
  postDeleted,
  relation,
  userDeleted,
} from "../events.fixture.ts";
import { FAN_OUT } from "./fan-out.ts";
import { TimelineSpace } from "./timeline-space.fixture.ts";

const DAY = 24 * HOUR;
const at = (timeMs: number) => ({ time_ms: timeMs });
const stamped = (event: Event, timeMs: number): Event => ({ ...event, time_ms: timeMs });

test("a post is pushed to active followers, to semi-active ones when there is room, not to others", async () => {
  const space = new TimelineSpace();
  await space.take(
    relation("follow", "1", "9"),
    relation("follow", "2", "9"),
    relation("follow", "3", "9"),
    impression("2", "5", NOON - 10 * DAY),
    impression("1", "5", NOON - HOUR),
    post("100", "9", at(NOON)),
  );
  expect(await space.stored("1")).toEqual(["100"]);
  expect(await space.stored("2")).toEqual(["100"]);
  expect(await space.stored("3")).toEqual([]);
});

test("whoever comes back finds a timeline, and is pushed to from then on", async () => {
  const space = new TimelineSpace();
  await space.take(relation("follow", "1", "9"), post("100", "9", at(NOON)));
  expect(await space.stored("1")).toEqual([]);
  await space.take(engagement("100", "favorite", NOON + 1, { user_id: "1" }));
  expect(await space.stored("1")).toEqual(["100"]);
  await space.take(post("101", "9", at(NOON + 2)));
  expect(await space.read("1")).toEqual(["101", "100"]);
});

test("who was away for a month has no timeline any more", async () => {
  const space = new TimelineSpace();
  await space.take(
    relation("follow", "1", "9"),
    impression("1", "5", NOON),
    post("100", "9", at(NOON)),
    post("101", "8", at(NOON + 31 * DAY)),
    post("102", "9", at(NOON + 31 * DAY)),
  );
  expect(await space.store.count("1")).toBe(0);
});

test("authors with many followers are not pushed and are merged when reading", async () => {
  const space = new TimelineSpace({ followerThreshold: 2 });
  await space.take(
    relation("follow", "1", "9"),
    relation("follow", "1", "8"),
    impression("1", "5", NOON),
    post("100", "9", at(NOON)),
    relation("follow", "2", "9"),
    post("101", "9", at(NOON + 1)),
    post("102", "8", at(NOON + 2)),
    relation("unfollow", "2", "9"),
    post("103", "9", at(NOON + 3)),
  );
  expect(await space.stored("1")).toEqual(["103", "102", "100"]);
  expect(await space.read("1")).toEqual(["103", "102", "101", "100"]);
});

test("a post of 40 hours ago lands at its place, and one older than posts are kept nowhere", async () => {
  const space = new TimelineSpace();
  await space.take(
    relation("follow", "1", "9"),
    impression("1", "5", NOON),
    post("100", "9", at(NOON)),
    post("101", "9", at(NOON - 40 * HOUR)),
    post("102", "9", at(NOON - 41 * HOUR)),
    post("103", "9", at(NOON - 50 * HOUR)),
  );
  expect(await space.read("1")).toEqual(["100", "101", "102"]);
});

test("deleted posts, deleted authors, unfollowed, muted and blocked authors leave nothing in a timeline", async () => {
  const space = new TimelineSpace();
  const authors = ["2", "3", "4", "5", "6", "7"];
  await space.take(
    impression("1", "5", NOON),
    ...authors.map((author) => relation("follow", "1", author)),
    ...authors.map((author) => post(`10${author}`, author, at(NOON))),
    relation("unfollow", "1", "2"),
    relation("mute", "1", "3"),
    relation("block", "1", "4"),
    relation("block", "5", "1"),
    userDeleted("6", NOON + 1),
    postDeleted("107", NOON + 1),
  );
  expect(await space.stored("1")).toEqual([]);
  expect(await space.read("1")).toEqual([]);
  await space.take(
    relation("follow", "1", "2"),
    relation("unmute", "1", "3"),
    relation("unblock", "1", "4"),
    relation("unblock", "5", "1"),
  );
  expect(await space.read("1")).toEqual(["102", "103", "104", "105"]);
  expect((await space.stored("1")).length).toBe(4);
});

test("a delete before its create keeps the post away, and a deleted reader keeps nothing", async () => {
  const space = new TimelineSpace();
  await space.take(
    relation("follow", "1", "9"),
    impression("1", "5", NOON),
    postDeleted("100", NOON),
    post("100", "9", at(NOON)),
    post("101", "9", at(NOON)),
  );
  expect(await space.stored("1")).toEqual(["101"]);
  await space.take(userDeleted("1", NOON + 1), post("102", "9", at(NOON + 2)));
  expect(await space.store.count("1")).toBe(0);
});

test("a follow brings the followee's recent posts, more than a timeline holds by a rebuild", async () => {
  const space = new TimelineSpace();
  const posts = Array.from({ length: 1_000 }, (_, i) => post(`${1_000 + i}`, "9", at(NOON + i)));
  await space.take(
    relation("follow", "1", "8"),
    impression("1", "5", NOON),
    post("1", "8", at(NOON + 5_000)),
    ...posts,
    relation("follow", "1", "9"),
  );
  expect((await space.stored("1")).slice(0, 2)).toEqual(["1", "1999"]);
  expect(await space.readAll("1")).toEqual(["1", ...posts.map((_, i) => `${1_999 - i}`)]);
});

test("an unfollow that overtakes a waiting push leaves no ghost", async () => {
  const space = new TimelineSpace();
  await space.take(relation("follow", "1", "9"), impression("1", "5", NOON));
  space.hold();
  space.plan(post("100", "9", at(NOON)));
  await space.tick();
  space.plan(post("101", "9", at(NOON)), relation("unfollow", "1", "9"));
  expect(await space.read("1")).toEqual([]);
  space.release();
  await space.fanOut.settled();
  expect(await space.stored("1")).toEqual([]);
});

test("what waits to be pushed is read all the same", async () => {
  const space = new TimelineSpace();
  await space.take(relation("follow", "1", "9"), impression("1", "5", NOON));
  space.hold();
  space.plan(post("100", "9", at(NOON)));
  expect(await space.read("1")).toEqual(["100"]);
  expect(await space.stored("1")).toEqual([]);
  space.release();
  await space.fanOut.settled();
  expect(await space.stored("1")).toEqual(["100"]);
});

test("semi-active readers past the bound of what can wait lose their timeline and find it on their next visit", async () => {
  const space = new TimelineSpace({}, { ...FAN_OUT, mostDeferred: 1 });
  await space.take(
    ...["1", "2", "3"].flatMap((user) => [
      relation("follow", user, "9"),
      impression(user, "5", NOON - 10 * DAY),
    ]),
    stamped(relation("follow", "4", "8"), NOON),
  );
  space.hold();
  space.plan(post("100", "9", at(NOON)));
  await space.tick();
  space.plan(post("101", "9", at(NOON)), post("102", "9", at(NOON)));
  space.release();
  await space.fanOut.settled();
  for (const user of ["1", "2", "3"]) {
    const stored = await space.stored(user);
    expect([[], ["102", "101", "100"]]).toContainEqual(stored.sort().reverse());
    expect(await space.read(user)).toEqual(["100", "101", "102"]);
  }
});

test("no more of the log is taken than there is room for", async () => {
  const space = new TimelineSpace({}, { ...FAN_OUT, mostWaiting: 5 });
  await space.take(relation("follow", "1", "9"), impression("1", "5", NOON));
  space.hold();
  const events = Array.from({ length: 50 }, (_, i) => post(`${100 + i}`, "9", at(NOON)));
  const taken = space.take(...events);
  await space.tick();
  expect(space.fanOut.waiting).toBeLessThanOrEqual(6);
  space.release();
  await taken;
  expect((await space.stored("1")).length).toBe(50);
});

test("a store that fails is tried again until it takes what is written, and the position waits for it", async () => {
  const space = new TimelineSpace();
  await space.take(relation("follow", "1", "9"), impression("1", "5", NOON));
  const before = space.fanOut.position.seq;
  space.failures = 3;
  space.plan(post("100", "9", at(NOON)));
  await space.tick();
  expect([space.fanOut.failing, space.fanOut.position.seq]).toEqual([true, before]);
  await space.fanOut.settled();
  expect([space.fanOut.failing, space.fanOut.position.seq]).toEqual([false, before + 1]);
  expect(await space.stored("1")).toEqual(["100"]);
  expect(await space.store.position("0")).toMatchObject({ seq: before + 1 });
});

test("a burst is delivered to the most lately active first and to all in the end, and the load returns to normal", async () => {
  const space = new TimelineSpace();
  const readers = Array.from({ length: 60 }, (_, i) => `${1_000 + i}`);
  const idleMs = (i: number): number => [0, 5 * HOUR, 10 * DAY][i % 3] as number;
  await space.take(
    ...readers.flatMap((reader, i) => [
      relation("follow", reader, "9"),
      impression(reader, "5", NOON - idleMs(i)),
    ]),
  );
  space.hold();
  const events = Array.from({ length: 2_000 }, (_, i) => post(`${5_000 + i}`, "9", at(NOON + i)));
  space.plan(...events);
  space.fanOut.look();
  expect([space.load.state, space.load.admitShare]).toEqual(["overloaded", 0]);
  const written: string[] = [];
  const push = space.store.push.bind(space.store);
  space.store.push = async (pushes) => {
    for (const { userIds } of pushes) written.push(...userIds);
    await push(pushes);
  };
  space.release();
  await space.fanOut.settled();
  const place = (kind: number): number => {
    const places = written.flatMap((reader, at) => (Number(reader) % 3 === kind ? [at] : []));
    return places.reduce((sum, at) => sum + at, 0) / places.length;
  };
  // 1,000 leaves 1 when divided by three.
  expect(place(1)).toBeLessThan(place(2));
  expect(place(2)).toBeLessThan(place(0));
  expect(written).toHaveLength(readers.length * events.length);
  for (const reader of readers) expect((await space.stored(reader)).length).toBeGreaterThan(799);
  for (let i = 0; i < 30; i++) space.fanOut.look();
  expect([space.load.state, space.load.admitShare, space.load.reason]).toEqual(["normal", 1, ""]);
});

test("an unfollow, mute or block that comes late, after what took it back, takes nothing out", async () => {
  const space = new TimelineSpace();
  await space.take(
    impression("1", "5", NOON),
    stamped(relation("follow", "1", "9"), NOON + 5),
    post("100", "9", at(NOON + 6)),
    stamped(relation("unfollow", "1", "9"), NOON + 1),
    stamped(relation("unmute", "1", "9"), NOON + 5),
    stamped(relation("mute", "1", "9"), NOON + 2),
    stamped(relation("unblock", "9", "1"), NOON + 5),
    stamped(relation("block", "9", "1"), NOON + 3),
  );
  expect(await space.stored("1")).toEqual(["100"]);
  expect(await space.read("1")).toEqual(["100"]);
});
