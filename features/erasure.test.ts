import { expect, test } from "vitest";
import type { Event } from "../datasets/events.ts";
import { applyEvent } from "./engine.ts";
import { ENTITIES } from "./entities.ts";
import { authoredBy } from "./families/post-content.ts";
import { MemoryFeatureStore, MemoryState } from "./memory-store.ts";
import { FeatureReader } from "./reader.ts";
import { FEATURE_NAMES } from "./registry.ts";
import { smallWorld } from "./small-world.fixture.ts";

const events = smallWorld(31);
const lastMs = events.at(-1)?.time_ms as number;
const after = (list: readonly Event[]): MemoryState => {
  const state = new MemoryState();
  for (const event of list) applyEvent(state, event);
  return state;
};
const gone = (userId: string): Event => ({
  type: "user_deleted",
  time_ms: lastMs + 1,
  user_id: userId,
});
const pairHas = (key: string, userId: string) => key.split("|").includes(userId);

test("a deleted user leaves no vector that is the user's own, the user's pairs' or the user's posts'", () => {
  const before = after(events);
  const state = after([...events, gone("3")]);
  for (const entity of ["user", "author", "user_follows"] as const) {
    expect(before.get(entity, "3")).toBeDefined();
    expect(state.get(entity, "3")).toBeUndefined();
  }
  for (const entity of ["user_author", "user_topic", "user_media", "user_surface"] as const) {
    const own = (view: MemoryState) =>
      [...view.keys(entity)].filter((key) =>
        entity === "user_author" ? pairHas(key, "3") : key.startsWith("3|"),
      );
    expect(own(before).length, entity).toBeGreaterThan(0);
    expect(own(state), entity).toEqual([]);
  }
  const posts = events.filter((e) => e.type === "post_created" && e.author_id === "3");
  expect(posts.length).toBeGreaterThan(0);
  for (const post of posts)
    expect(state.get("post", (post as Event & { post_id: string }).post_id)).toBeUndefined();
});

test("what is others' stays, except that nobody follows or is followed by who left", () => {
  const before = after(events);
  const state = after([...events, gone("3")]);
  const counted = new Set(["user", "author", "user_follows"]);
  for (const entity of ENTITIES)
    for (const key of before.keys(entity)) {
      const theirs =
        entity === "post"
          ? !authoredBy(before.get("post", key), "3")
          : entity === "user_author"
            ? !pairHas(key, "3")
            : entity.startsWith("user_") && entity !== "user_follows"
              ? !key.startsWith("3|")
              : key !== "3" || !counted.has(entity);
      if (theirs && !counted.has(entity))
        expect(state.get(entity, key), `${entity} ${key}`).toEqual(before.get(entity, key));
      if (theirs && counted.has(entity)) expect(state.get(entity, key)).toBeDefined();
    }
  const follows = (from: string, to: string) =>
    events.findLast(
      (e) =>
        (e.type === "follow" || e.type === "unfollow") && e.user_id === from && e.target_id === to,
    )?.type === "follow";
  const reader = new FeatureReader(["user.following", "author.followers"], []);
  const counts = (view: MemoryState, user: string): number[] => {
    const out = new Float32Array(2);
    reader.begin(view, { userId: user, nowMs: lastMs });
    reader.row("0", user, out, new Uint32Array(0), 0);
    return [...out].map((n) => (Number.isNaN(n) ? 0 : n));
  };
  let changed = 0;
  for (const other of ["1", "2", "4", "5", "6", "7", "8", "9", "10", "11", "12"]) {
    const [following, followers] = counts(before, other) as [number, number];
    const lost = [Number(follows(other, "3")), Number(follows("3", other))] as const;
    expect(counts(state, other)).toEqual([following - lost[0], followers - lost[1]]);
    changed += lost[0] + lost[1];
  }
  expect(changed).toBeGreaterThan(0);
});

test("to a later request the deleted user is a stranger", () => {
  const state = after([...events, gone("3")]);
  const names = FEATURE_NAMES.filter((name) =>
    /^(user|user_author|user_topic|user_media)\./.test(name),
  );
  const read = (userId: string) => {
    const out = new Float32Array(names.length);
    const reader = new FeatureReader(names, []);
    reader.begin(state, { userId, nowMs: lastMs + 2, surface: "home" });
    reader.row("1003", "1", out, new Uint32Array(0), 0);
    return out;
  };
  expect(read("3")).toEqual(read("987654321"));
  expect(read("5")).not.toEqual(read("987654321"));
});

test("users whose ids begin or end alike are not touched", async () => {
  const store = new MemoryFeatureStore();
  const keys = ["3|1", "33|1", "1|3", "1|13", "13|31"];
  await store.transaction(1, (state) => {
    for (const key of keys) state.edit("user_author", key)[2] = 1;
    for (const user of ["3", "33", "13", "31"]) state.edit("user", user)[0] = 1;
  });
  await store.transaction(2, (state) => applyEvent(state, gone("3")));
  expect(keys.filter((key) => store.get("user_author", key) !== undefined)).toEqual([
    "33|1",
    "1|13",
    "13|31",
  ]);
  expect(["3", "33", "13", "31"].map((user) => store.get("user", user) !== undefined)).toEqual([
    false,
    true,
    true,
    true,
  ]);
});

test("a post's author is kept exactly, for ids beyond 2^53 too", () => {
  const ids = [
    "18446744073709551615",
    "18446744073709551614",
    "9007199254740993",
    "9007199254740992",
  ];
  for (const id of ids) {
    const state = after([
      {
        type: "post_created",
        time_ms: 5,
        post_id: "1",
        author_id: id,
        text: "",
        topics: [],
        media: "none",
        safety_labels: [],
        attributes: {},
      },
    ]);
    expect(ids.filter((other) => authoredBy(state.get("post", "1"), other))).toEqual([id]);
  }
});
