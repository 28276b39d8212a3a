import { expect, test } from "vitest";
import { applyEvent } from "./engine.ts";
import type { Entity, StateView } from "./entities.ts";
import { MemoryState } from "./memory-store.ts";
import { FeatureReader } from "./reader.ts";
import { FEATURE_NAMES } from "./registry.ts";
import { SharedReads } from "./shared-reads.ts";
import { SMALL_WORLD_START_MS, smallWorld } from "./small-world.fixture.ts";

const state = new MemoryState();
for (const event of smallWorld(3)) applyEvent(state, event);
const REQUEST = { userId: "1", nowMs: SMALL_WORLD_START_MS + 4 * 86_400_000, surface: "home" };
const POSTS = [
  ["1003", "2"],
  ["1017", "9"],
  ["1040", "2"],
] as const;
/** As the light ranker, without anything between viewer and author. */
const FEW = FEATURE_NAMES.filter((name) => /^(author|post)\./.test(name));

/** The state, noting what is looked up. */
function counting(): { view: StateView; asked: string[] } {
  const asked: string[] = [];
  return {
    view: {
      get: (entity: Entity, key: string) => {
        asked.push(`${entity} ${key}`);
        return state.get(entity, key);
      },
    },
    asked,
  };
}

function rowsOf(names: readonly string[], view: StateView, shared?: SharedReads): Float32Array {
  const reader = new FeatureReader(names, []);
  const rows = new Float32Array(POSTS.length * names.length);
  reader.begin(view, REQUEST, shared);
  POSTS.forEach(([postId, authorId], row) => {
    reader.row(postId, authorId, rows, new Uint32Array(0), row);
  });
  return rows;
}

test("readers that share give what they give apart, whichever is first", () => {
  for (const order of [
    [FEW, FEATURE_NAMES],
    [FEATURE_NAMES, FEW],
  ]) {
    const shared = new SharedReads();
    for (const names of order) expect(rowsOf(names, state, shared)).toEqual(rowsOf(names, state));
  }
});

test("what one reader has looked up of authors, the next does not", () => {
  const { view, asked } = counting();
  const shared = new SharedReads();
  rowsOf(FEATURE_NAMES, view, shared);
  const before = asked.length;
  expect(asked.filter((each) => each === "user_author 1|2")).toHaveLength(1);
  rowsOf(FEATURE_NAMES, view, shared);
  expect(asked.slice(before).filter((each) => /^(author|user_author) /.test(each))).toEqual([]);
});

test("a reader of posts and authors alone asks for nothing between viewer and author", () => {
  const { view, asked } = counting();
  rowsOf(FEW, view);
  expect(asked.filter((each) => each.startsWith("author "))).not.toEqual([]);
  expect(asked.filter((each) => each.startsWith("user_author "))).toEqual([]);
});
