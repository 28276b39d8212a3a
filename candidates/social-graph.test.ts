import { deserialize, serialize } from "node:v8";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Event, EventSchema } from "../datasets/events.ts";
import { NOON, relation, userDeleted } from "./events.fixture.ts";
import { SocialGraph } from "./social-graph.ts";

const graphOf = (events: readonly Event[]): SocialGraph => {
  const graph = new SocialGraph();
  for (const event of events) graph.apply(event);
  return graph;
};
const profile = (userId: string, languages: readonly string[]): Event =>
  EventSchema.parse({ type: "user_created", time_ms: NOON, user_id: userId, languages });
const keywords = (userId: string, words: readonly string[]): Event =>
  EventSchema.parse({
    type: "muted_keywords_set",
    time_ms: NOON,
    user_id: userId,
    keywords: words,
  });

test("follows are known in the direction in which they go, and end with an unfollow", () => {
  const graph = graphOf([relation("follow", "1", "2"), relation("follow", "1", "3")]);
  expect([...graph.following("1")]).toEqual(["2", "3"]);
  expect([...graph.following("2")]).toEqual([]);
  graph.apply(relation("unfollow", "1", "2"));
  graph.apply(relation("unfollow", "9", "2"));
  expect([...graph.following("1")]).toEqual(["3"]);
});

test("a block is known to both sides and ends for both", () => {
  const graph = graphOf([relation("block", "1", "2")]);
  expect([[...graph.blocked("1")], [...graph.blockedBy("2")]]).toEqual([["2"], ["1"]]);
  expect([graph.blocked("2").size, graph.blockedBy("1").size]).toEqual([0, 0]);
  graph.apply(relation("unblock", "1", "2"));
  expect([graph.blocked("1").size, graph.blockedBy("2").size]).toEqual([0, 0]);
});

test("mutes and muted keywords are the viewer's own; keywords are replaced as a whole", () => {
  const graph = graphOf([relation("mute", "1", "2"), keywords("1", ["a b"]), keywords("1", ["c"])]);
  expect([...graph.muted("1")]).toEqual(["2"]);
  expect(graph.mutedKeywords("1")).toEqual(["c"]);
  expect(graph.mutedKeywords("2")).toEqual([]);
  graph.apply(relation("unmute", "1", "2"));
  graph.apply(keywords("1", []));
  expect([graph.muted("1").size, graph.mutedKeywords("1")]).toEqual([0, []]);
});

test("a user is known by a profile or by following somebody", () => {
  const graph = graphOf([profile("1", ["en", "ja"]), relation("follow", "2", "3")]);
  expect(["1", "2", "3", "4"].map((user) => graph.isKnown(user))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(graph.languages("1")).toEqual(["en", "ja"]);
  expect(graph.languages("2")).toEqual([]);
  expect([...graph.users()]).toEqual(["1"]);
});

const USERS = ["1", "2", "3", "4", "5"];
const history = fc.array(
  fc.record({
    type: fc.constantFrom("follow", "unfollow", "block", "unblock", "mute", "unmute"),
    from: fc.constantFrom(...USERS),
    to: fc.constantFrom(...USERS),
  }),
  { maxLength: 60 },
);
const OPPOSITE: Record<string, string> = { unfollow: "follow", unblock: "block", unmute: "mute" };

test("for any history an edge is there when the last word on it was to make it", () => {
  fc.assert(
    fc.property(history, (steps) => {
      const last = new Map<string, boolean>();
      for (const { type, from, to } of steps)
        last.set(`${OPPOSITE[type] ?? type} ${from} ${to}`, OPPOSITE[type] === undefined);
      const graph = graphOf(steps.map(({ type, from, to }) => relation(type, from, to)));
      for (const from of USERS)
        for (const to of USERS) {
          const is = (type: string) => last.get(`${type} ${from} ${to}`) === true;
          expect(graph.following(from).has(to)).toBe(is("follow"));
          expect(graph.followers(to).has(from)).toBe(is("follow"));
          expect(graph.blocked(from).has(to)).toBe(is("block"));
          expect(graph.blockedBy(to).has(from)).toBe(is("block"));
          expect(graph.muted(from).has(to)).toBe(is("mute"));
        }
    }),
  );
});

test("a deleted user is nowhere: not as who follows, blocks or mutes, nor as whom", () => {
  fc.assert(
    fc.property(history, (steps) => {
      const graph = graphOf([
        profile("3", ["en"]),
        keywords("3", ["x"]),
        ...steps.map(({ type, from, to }) => relation(type, from, to)),
        userDeleted("3"),
      ]);
      for (const user of USERS)
        for (const edges of [
          graph.following(user),
          graph.followers(user),
          graph.blocked(user),
          graph.blockedBy(user),
          graph.muted(user),
        ]) {
          expect(edges.has("3")).toBe(false);
          if (user === "3") expect(edges.size).toBe(0);
        }
      expect(graph.isKnown("3")).toBe(false);
      expect([graph.mutedKeywords("3"), graph.languages("3")]).toEqual([[], []]);
      expect([...graph.users()]).toEqual([]);
    }),
  );
});

test("a snapshot restores to a graph that answers and goes on as the old one", () => {
  fc.assert(
    fc.property(history, history, (before, later) => {
      const graph = graphOf([
        profile("1", ["en"]),
        keywords("2", ["tea"]),
        ...before.map(({ type, from, to }) => relation(type, from, to)),
      ]);
      const restored = new SocialGraph();
      restored.restore(deserialize(serialize(graph.snapshot())));
      for (const { type, from, to } of later) {
        graph.apply(relation(type, from, to));
        restored.apply(relation(type, from, to));
      }
      expect(restored.snapshot()).toEqual(graph.snapshot());
      for (const user of USERS) {
        expect(restored.followers(user)).toEqual(graph.followers(user));
        expect(restored.followerCount(user)).toBe(graph.followers(user).size);
      }
      expect(restored.languages("1")).toEqual(["en"]);
      expect(restored.mutedKeywords("2")).toEqual(["tea"]);
    }),
  );
});

const at = (event: Event, minutes: number): Event => ({
  ...event,
  time_ms: NOON + 60_000 * minutes,
});

test("of statements about a pair the newest holds in whatever order they come, and followers are counted once", () => {
  const statement = fc.record({
    type: fc.constantFrom("follow", "unfollow", "block", "unblock", "mute", "unmute"),
    user: fc.constantFrom("1", "2"),
    target: fc.constantFrom("3", "4"),
  });
  const told = fc.array(statement, { minLength: 1, maxLength: 30 }).chain((statements) => {
    const events = statements.map(({ type, user, target }, i) =>
      at(relation(type as "follow", user, target), i),
    );
    return fc.record({
      events: fc.constant(events),
      shuffled: fc.shuffledSubarray(events, { minLength: events.length }),
    });
  });
  fc.assert(
    fc.property(told, ({ events, shuffled }) => {
      const [ordered, late] = [graphOf(events), graphOf(shuffled)];
      for (const user of ["1", "2", "3", "4"])
        for (const kind of ["following", "blocked", "blockedBy", "muted"] as const)
          expect([...late[kind](user)].sort()).toEqual([...ordered[kind](user)].sort());
      for (const target of ["3", "4"])
        expect(late.followerCount(target)).toBe(ordered.followerCount(target));
    }),
  );
});

test("what comes late about a deleted user is not taken, a new account is", () => {
  const graph = graphOf([
    at(relation("follow", "1", "2"), 1),
    at(userDeleted("2"), 2),
    at(relation("follow", "1", "2"), 1),
    at(profile("2", ["en"]), 0),
  ]);
  expect([graph.following("1").size, graph.isKnown("2")]).toEqual([0, false]);
  graph.apply(at(profile("2", ["en"]), 3));
  graph.apply(at(relation("follow", "1", "2"), 4));
  expect([graph.following("1").size, graph.isKnown("2")]).toEqual([1, true]);
});

test("48 hours later the order of arrival counts again", () => {
  const graph = graphOf([at(relation("follow", "1", "2"), 10)]);
  graph.trim(NOON + 49 * 3_600_000);
  graph.apply(at(relation("unfollow", "1", "2"), 5));
  expect(graph.following("1").size).toBe(0);
});
