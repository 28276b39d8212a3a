import { expect, test } from "vitest";
import { random } from "../datasets/random.ts";
import { applyEvent } from "./engine.ts";
import { ENTITIES, type Entity, TOPICS_PER_POST } from "./entities.ts";
import { userElsewhere } from "./families/elsewhere.ts";
import { emptyPriors, globalRates, loadPriors, type Priors } from "./families/global.ts";
import { postContent } from "./families/post-content.ts";
import { authorTopics } from "./families/topic-shares.ts";
import { userAuthor } from "./families/user-author.ts";
import { userProfile } from "./families/user-profile.ts";
import type { FeatureFamily, RowContext } from "./family.ts";
import { MemoryState } from "./memory-store.ts";
import { FeatureReader } from "./reader.ts";
import {
  FAMILIES,
  FAMILY_OF,
  FEATURE_NAMES,
  ID_COLUMNS,
  OFFSETS,
  SLOTS,
  schemaHash,
  unknownFeatures,
} from "./registry.ts";
import { emptyContext } from "./row-context.ts";
import { SMALL_WORLD_START_MS, smallWorld } from "./small-world.fixture.ts";

const EMPTY: RowContext = {
  ...emptyContext(),
  nowMs: SMALL_WORLD_START_MS,
  priors: priorsOf(undefined),
};

function priorsOf(global: Float64Array | undefined): Priors {
  const priors = emptyPriors();
  loadPriors(global, priors);
  return priors;
}

/** A context whose vectors hold plausible but random numbers. */
function randomContext(seed: number): RowContext {
  const rnd = random(seed, "context");
  const vector = (entity: Entity) =>
    rnd.next() < 0.2
      ? undefined
      : Float64Array.from({ length: SLOTS[entity] }, () =>
          rnd.next() < 0.2 ? 0 : rnd.next() < 0.1 ? SMALL_WORLD_START_MS : 10 * rnd.next(),
        );
  const topicCount = rnd.below(TOPICS_PER_POST + 1);
  const topics = Array.from({ length: TOPICS_PER_POST }, (_, i) => ({
    topic: 1 + i,
    state: vector("topic"),
    userState: vector("user_topic"),
    number: -1,
    values: undefined,
    userValues: undefined,
  }));
  const global = vector("global");
  return {
    nowMs: SMALL_WORLD_START_MS + rnd.below(1e9),
    surface: "home",
    global,
    priors: priorsOf(global),
    user: vector("user"),
    surfaceState: vector("surface"),
    userSurface: vector("user_surface"),
    authorKnown: rnd.next() < 0.8,
    author: vector("author"),
    post: vector("post"),
    userAuthor: vector("user_author"),
    authorUser: vector("user_author"),
    userMedia: vector("user_media"),
    topicCount,
    topicWeight: new Float64Array(TOPICS_PER_POST).fill(1 / Math.max(1, topicCount)),
    topics,
    interests: undefined,
    authorTopicsAt: OFFSETS.get(authorTopics) as number,
    userElsewhereAt: OFFSETS.get(userElsewhere) as number,
  };
}

const read = (family: FeatureFamily, context: RowContext, background: number): Float32Array => {
  const out = new Float32Array(family.features.length + 4).fill(background);
  family.read(context, OFFSETS.get(family) as number, out, 2);
  return out;
};

test("the registry has at least 80 features with distinct, well-formed names and a description each", () => {
  expect(FEATURE_NAMES.length).toBeGreaterThanOrEqual(80);
  expect(new Set(FEATURE_NAMES).size).toBe(FEATURE_NAMES.length);
  for (const name of FEATURE_NAMES)
    expect(name).toMatch(/^[a-z]+(_[a-z]+)*\.[a-z0-9]+(_[a-z0-9]+)*$/);
  for (const spec of FAMILIES.flatMap((family) => family.features))
    expect(spec.description.length, spec.name).toBeGreaterThan(3);
  expect(new Set(FAMILIES.map((family) => family.name)).size).toBe(FAMILIES.length);
});

test.each(FAMILIES.map((family) => [family.name, family] as const))(
  "%s writes exactly its features and nothing beside them",
  (_, family) => {
    const n = family.features.length;
    for (const context of [
      EMPTY,
      ...Array.from({ length: 50 }, (_, seed) => randomContext(seed)),
    ]) {
      const ones = read(family, context, 12345.5);
      const twos = read(family, context, -777.25);
      expect([...ones.subarray(0, 2), ...ones.subarray(2 + n)]).toEqual(new Array(4).fill(12345.5));
      // What was there before does not shine through: every value was written.
      expect(ones.subarray(2, 2 + n)).toEqual(twos.subarray(2, 2 + n));
      for (const value of ones.subarray(2, 2 + n)) expect(Math.abs(value)).not.toBe(Infinity);
    }
  },
);

test.each(
  FAMILIES.filter((family) => family.name !== "request_context").map((f) => [f.name, f] as const),
)("%s is missing throughout where nothing is known", (_, family) => {
  for (const value of read(family, EMPTY, 1).subarray(2, 2 + family.features.length))
    expect(value).toBeNaN();
});

test("families of one entity have their own slots, without gaps or overlaps", () => {
  for (const entity of ENTITIES) {
    if (entity === "token") continue;
    let next = 0;
    for (const family of FAMILIES.filter((f) => f.entity === entity)) {
      expect(OFFSETS.get(family), family.name).toBe(next);
      next += family.slots;
    }
    expect(SLOTS[entity]).toBe(next);
    expect(next).toBeGreaterThan(0);
  }
});

test("families whose slots others read at offset 0 come first of their entity", () => {
  for (const family of [globalRates, userProfile, postContent, userAuthor])
    expect(FAMILIES.find((f) => f.entity === family.entity)).toBe(family);
});

test("the schema hash changes with a name, the order, an id column and a family's version, and with nothing else", () => {
  const names = ["post.age_hours", "user.following"];
  const hash = schemaHash(names, ["author"]);
  expect(schemaHash([...names], ["author"])).toBe(hash);
  const family = FAMILY_OF.get("post.age_hours") as { version: number };
  const others = [
    schemaHash(names.toReversed(), ["author"]),
    schemaHash(names.slice(1), ["author"]),
    schemaHash(names, ["topic"]),
    schemaHash(names, []),
  ];
  family.version++;
  others.push(schemaHash(names, ["author"]));
  family.version--;
  expect(new Set([hash, ...others]).size).toBe(6);
  expect(schemaHash(names, ["author"])).toBe(hash);
});

test("features and id columns that the registry lacks are named", () => {
  expect(unknownFeatures(FEATURE_NAMES, ID_COLUMNS)).toEqual([]);
  expect(unknownFeatures(["post.age_hours", "post.colour"], ["author", "moon"])).toEqual([
    "post.colour",
    "moon",
  ]);
  expect(() => new FeatureReader(["post.colour"], [])).toThrow("post.colour");
  expect(() => new FeatureReader(["post.words", "post.words"], [])).toThrow("post.words");
});

test("a feature's value does not depend on which others are asked for, nor on their order", () => {
  const state = new MemoryState();
  for (const event of smallWorld(3)) applyEvent(state, event);
  const now = SMALL_WORLD_START_MS + 4 * 86_400_000;
  const all = new FeatureReader(FEATURE_NAMES, []);
  const reversed = new FeatureReader(FEATURE_NAMES.toReversed(), []);
  const d = FEATURE_NAMES.length;
  let present = 0;
  for (const [userId, postId, authorId, surface] of [
    ["1", "1003", "2", "home"],
    ["5", "1017", "9", "1"],
    ["7", "1040", undefined, undefined],
  ] as const) {
    const request = { userId, nowMs: now, ...(surface === undefined ? {} : { surface }) };
    const row = new Float32Array(d);
    all.begin(state, request);
    all.row(postId, authorId, row, new Uint32Array(0), 0);
    const backwards = new Float32Array(d);
    reversed.begin(state, request);
    reversed.row(postId, authorId, backwards, new Uint32Array(0), 0);
    expect(backwards.toReversed()).toEqual(row);
    for (const [i, name] of FEATURE_NAMES.entries()) {
      const alone = new FeatureReader([name], []);
      const out = new Float32Array(1);
      alone.begin(state, request);
      alone.row(postId, authorId, out, new Uint32Array(0), 0);
      expect(out[0], name).toBe(row[i]);
      if (!Number.isNaN(out[0])) present++;
    }
  }
  expect(present).toBeGreaterThan(d);
});

test("id columns hash each kind on its own: an author and a surface of the same name differ", () => {
  const state = new MemoryState();
  const reader = new FeatureReader([], ["author", "surface", "topic", "media"]);
  const ids = new Uint32Array(4);
  reader.begin(state, { userId: "1", nowMs: 1, surface: "1" });
  reader.row("9", "1", new Float32Array(0), ids, 0);
  expect(ids[0]).not.toBe(ids[1]);
  expect([ids[0], ids[1]].every((id) => (id as number) > 0)).toBe(true);
  expect([ids[2], ids[3]]).toEqual([0, 0]);
  const again = new Uint32Array(4);
  const other = new FeatureReader([], ["author", "surface", "topic", "media"]);
  other.begin(state, { userId: "2", nowMs: 1, surface: "1" });
  other.row("9", undefined, new Float32Array(0), again, 0);
  expect([...again]).toEqual([0, ids[1], 0, 0]);
});

test.each(
  FAMILIES.filter((family) => family.readOf !== undefined).map((f) => [f.name, f] as const),
)("%s gives the same numbers for a part of its features as for all", (_, family) => {
  const wanted = [...family.features.keys()].filter((i) => i % 3 === 1);
  const readPart = family.readOf?.(wanted) as FeatureFamily["read"];
  let known = 0;
  for (const context of [EMPTY, ...Array.from({ length: 50 }, (__, seed) => randomContext(seed))]) {
    // The block's last time: without one as young as the request, all counts have decayed to nothing.
    const at = OFFSETS.get(family) as number;
    for (const vector of [context.user, context.author, context.post, context.userMedia])
      if (vector !== undefined && at < vector.length) vector[at] = context.nowMs;
    for (const vector of [context.surfaceState, context.userSurface])
      if (vector !== undefined) vector[at] = context.nowMs;
    const all = read(family, context, 1).subarray(2);
    const part = new Float32Array(wanted.length + 1).fill(12345.5);
    readPart(context, at, part, 0);
    expect([...part]).toEqual([...wanted.map((i) => all[i]), 12345.5]);
    known += part.filter((value) => !Number.isNaN(value)).length - 1;
  }
  expect(known).toBeGreaterThan(0);
});
