import fc from "fast-check";
import { expect, test } from "vitest";
import { type Event, type EventOf, EventSchema } from "../datasets/events.ts";
import { applyEvent } from "./engine.ts";
import { MemoryState } from "./memory-store.ts";
import { FeatureReader } from "./reader.ts";

const T = Date.UTC(2025, 0, 6, 12);
const MINUTE = 60_000;
const event = (fields: Record<string, unknown>): Event =>
  EventSchema.parse({ time_ms: T, ...fields });
const shown = (more: Record<string, unknown> = {}) =>
  event({
    type: "impression",
    request_id: "q",
    user_id: "1",
    post_id: "100",
    author_id: "2",
    position: 0,
    ...more,
  });
const acted = (head: string, more: Record<string, unknown> = {}) =>
  event({
    type: "engagement",
    request_id: "q",
    user_id: "1",
    post_id: "100",
    author_id: "2",
    head,
    ...more,
  });
const post = (more: Record<string, unknown> = {}) =>
  event({ type: "post_created", post_id: "100", author_id: "2", ...more });
const follow = (from: string, to: string, timeMs: number, type = "follow") =>
  event({ type, time_ms: timeMs, user_id: from, target_id: to });
const after = (events: readonly Event[]): MemoryState => {
  const state = new MemoryState();
  for (const one of events) applyEvent(state, one);
  return state;
};

/** Named features of viewer 1 for post 100 by author 2. */
function read<Name extends string>(
  events: readonly Event[],
  names: readonly Name[],
  more: { nowMs?: number; authorId?: string | undefined; userId?: string } = {},
): Record<Name, number> {
  const { nowMs = T + 1000, userId = "1" } = more;
  const reader = new FeatureReader(names, []);
  const out = new Float32Array(names.length);
  reader.begin(after(events), { userId, nowMs });
  reader.row("100", "authorId" in more ? more.authorId : "2", out, new Uint32Array(0), 0);
  return Object.fromEntries(names.map((name, i) => [name, out[i]])) as Record<Name, number>;
}

test("a repeated post record counts once", () => {
  const once = [post({ text: "kettle", topics: ["tea"] }), shown()];
  expect([...after([...once, once[0] as Event]).entries()]).toEqual([...after(once).entries()]);
});

test("follows and unfollows of pairs leave the same state in whatever order they arrive", () => {
  const steps = fc.uniqueArray(
    fc.record({
      at: fc.nat({ max: 200 }),
      from: fc.constantFrom("1", "2", "3"),
      to: fc.constantFrom("1", "2", "3"),
      type: fc.constantFrom("follow", "unfollow"),
    }),
    { selector: (step) => step.at, maxLength: 20 },
  );
  fc.assert(
    fc.property(steps, fc.infiniteStream(fc.nat()), (list, keys) => {
      const inOrder = list.toSorted((a, b) => a.at - b.at);
      const arriving = list
        .map((step) => ({ step, key: keys.next().value }))
        .sort((a, b) => a.key - b.key)
        .map(({ step }) => step);
      const names = ["user.following", "author.followers", "user_author.follows"] as const;
      const rows = (steps: typeof list, user: string, author: string) =>
        read(
          [
            ...["1", "2", "3"].map((user_id) => event({ type: "user_created", user_id })),
            ...steps.map(({ at, from, to, type }) => follow(from, to, T + at, type)),
          ],
          names,
          { userId: user, authorId: author },
        );
      for (const user of ["1", "2", "3"])
        for (const author of ["1", "2", "3"])
          expect(rows(arriving, user, author)).toEqual(rows(inOrder, user, author));
      const pairs = new Map(inOrder.map((step) => [`${step.from}>${step.to}`, step.type]));
      const following = [...pairs].filter(([pair, type]) => pair[0] === "1" && type === "follow");
      expect(rows(arriving, "1", "2")["user.following"]).toBe(following.length);
    }),
  );
});

test("an undo in the same moment leaves the rates as if nothing had happened", () => {
  const names = ["user.favorite_rate_50d", "user.interest_rate_1d"] as const;
  const others = [shown({ user_id: "9" }), acted("favorite", { user_id: "9" }), shown()];
  const undone = [...others, acted("favorite"), acted("favorite", { undo: true })];
  expect(read(undone, names)).toEqual(read(others, names));
  expect(read([...others, acted("favorite")], names)).not.toEqual(read(others, names));
});

test("mutes, blocks and reports pool into one signal, and heads that nothing counts change nothing", () => {
  const base = [shown(), acted("report", { user_id: "9" })];
  const names = ["author.negative_rate_50d"] as const;
  const values = ["mute_author", "block_author", "report"].map(
    (head) => read([...base, acted(head)], names)["author.negative_rate_50d"],
  );
  expect(new Set(values).size).toBe(1);
  expect([...after([...base, acted("open_link")]).entries()]).toEqual([...after(base).entries()]);
});

test("signals on a post that is not known yet count for it, but for no topic and no kind of media", () => {
  const state = after([shown(), acted("click")]);
  for (const entity of ["topic", "user_topic", "user_media"] as const)
    expect([...state.keys(entity)]).toEqual([]);
  const later = read(
    [shown(), post({ media: "photo" })],
    ["post.impressions_50d", "post.has_photo", "user_media.impressions_50d"],
  );
  expect(later["post.impressions_50d"]).toBeCloseTo(1, 5);
  expect(later["post.has_photo"]).toBe(1);
  expect(later["user_media.impressions_50d"]).toBeNaN();
});

test("a deleted post is unknown again", () => {
  const values = read(
    [post(), shown(), event({ type: "post_deleted", post_id: "100" })],
    ["post.age_hours", "post.impressions_50d"],
  );
  expect(values).toEqual({ "post.age_hours": NaN, "post.impressions_50d": NaN });
});

test("a session ends with a pause of more than 30 minutes", () => {
  const names = ["user.session_impressions", "user.session_minutes", "user.sessions"] as const;
  const at = (...minutes: number[]) => minutes.map((m) => shown({ time_ms: T + m * MINUTE }));
  const now = (minute: number) => ({ nowMs: T + minute * MINUTE });
  const values = (events: Event[], minute: number) =>
    names.map((name) => read(events, names, now(minute))[name]);
  expect(values(at(0, 30, 60), 61)).toEqual([3, 61, 1]);
  expect(values(at(0, 31), 32)).toEqual([1, 1, 2]);
  expect(values(at(0, 10), 41)).toEqual([0, 0, 1]);
});

test("a late impression extends the running session backwards, one of an earlier session leaves it alone", () => {
  const names = ["user.session_impressions", "user.session_minutes", "user.sessions"] as const;
  const at = (...minutes: number[]) => minutes.map((m) => shown({ time_ms: T + m * MINUTE }));
  const values = (events: Event[]) => {
    const row = read(events, names, { nowMs: T + 110 * MINUTE });
    return names.map((name) => row[name]);
  };
  expect(values(at(100, 90, 95))).toEqual(values(at(90, 95, 100)));
  expect(values(at(90, 100, 10))).toEqual([2, 20, 1]);
});

test("an account that is known by its impressions alone has no counts of what nobody told", () => {
  const names = [
    "user.following",
    "user.account_age_days",
    "user.languages",
    "user.register_days",
    "author.followers",
    "author.posts_1d",
    "author.posts_50d",
    "author.reply_share",
    "author.hours_since_post",
  ] as const;
  for (const [name, value] of Object.entries(read([shown()], names))) expect(value, name).toBeNaN();
  const told = read(
    [
      event({ type: "user_created", user_id: "1", languages: ["en"] }),
      event({ type: "user_created", user_id: "2" }),
      shown(),
    ],
    names,
  );
  expect(told["user.following"]).toBe(0);
  expect(told["author.followers"]).toBe(0);
  expect(told["author.posts_1d"]).toBe(0);
  expect(told["user.languages"]).toBe(1);
  expect(told["user.register_days"]).toBeNaN();
});

test("whether an unknown author is followed is missing, not no", () => {
  const names = ["user_author.follows", "user_author.followed_by"] as const;
  expect(read([], names)).toEqual({ "user_author.follows": 0, "user_author.followed_by": 0 });
  expect(read([], names, { authorId: undefined })).toEqual({
    "user_author.follows": NaN,
    "user_author.followed_by": NaN,
  });
});

test("topics that the viewer never met and topics that were never shown are missing", () => {
  const created = post({ text: "", topics: ["tea"] }) as EventOf<"post_created">;
  const names = [
    "user_topic.impressions_50d",
    "user_topic.interest_rate_50d",
    "user_topic.best_interest_50d",
    "topic.favorite_rate_1d",
    "topic.posts_30m",
  ] as const;
  const unseen = read([created], names);
  expect(unseen["topic.posts_30m"]).toBeCloseTo(1, 3);
  for (const name of names.slice(0, 4)) expect(unseen[name], name).toBeNaN();
  const seen = read([created, shown(), acted("favorite")], names);
  for (const name of names) expect(seen[name], name).not.toBeNaN();
});
