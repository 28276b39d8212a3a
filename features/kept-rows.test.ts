import { beforeEach, expect, test } from "vitest";
import { EventSchema } from "../datasets/events.ts";
import { applyEvent } from "./engine.ts";
import type { Entity } from "./entities.ts";
import { POST } from "./families/post-content.ts";
import { KeptRows } from "./kept-rows.ts";
import { MemoryState } from "./memory-store.ts";
import { readPlan } from "./read-plan.ts";
import { FeatureReader } from "./reader.ts";
import { FEATURE_NAMES, ID_COLUMNS, SLOTS } from "./registry.ts";
import { emptyContext } from "./row-context.ts";
import { type AuthorVectors, SharedReads } from "./shared-reads.ts";
import { SMALL_WORLD_START_MS, smallWorld } from "./small-world.fixture.ts";

const state = new MemoryState();
for (const event of smallWorld(3)) applyEvent(state, event);
for (const [post_id, author_id] of [
  ["1003", "2"],
  ["1017", "9"],
] as const)
  for (const head of ["video_view", "long_view"])
    applyEvent(
      state,
      EventSchema.parse({
        type: "engagement",
        time_ms: SMALL_WORLD_START_MS + 3 * 86_400_000,
        user_id: "5",
        post_id,
        author_id,
        head,
        surface: "elsewhere",
      }),
    );
const NOW = SMALL_WORLD_START_MS + 4 * 86_400_000;
const POSTS = ["1003", "1017", "1040", "no post"];
const AUTHORS = ["2", "9", "2", "no author"];
/** What depends on the post or the author alone. */
const ALONE = /^(author|post)(_elsewhere)?\./;

let kept: { posts: KeptRows[]; authors: Map<string, KeptRows> };
beforeEach(() => {
  kept = {
    posts: POSTS.map(() => new KeptRows(NOW)),
    authors: new Map(AUTHORS.map((id) => [id, new KeptRows(NOW)])),
  };
});

function rowsAt(nowMs: number, reader: FeatureReader, keeps: boolean): Float32Array {
  const authors = new Map<string, AuthorVectors>();
  for (const id of AUTHORS)
    authors.set(id, {
      author: state.get("author", id),
      pair: undefined,
      kept: keeps ? kept.authors.get(id) : undefined,
    });
  const posts = POSTS.map((id) => state.get("post", id));
  const matrix = new Float32Array(POSTS.length * reader.features.length);
  const ids = new Uint32Array(POSTS.length * reader.ids.length);
  reader.begin(state, { userId: "1", nowMs, surface: "home" }, new SharedReads(authors));
  reader.rows(posts, AUTHORS, matrix, ids, 0, POSTS.length, keeps ? kept.posts : undefined);
  return matrix;
}

/** Values of the columns whose name passes. */
const columns = (
  matrix: Float32Array,
  names: readonly string[],
  passes: (name: string) => boolean,
) => [...matrix].filter((_, i) => passes(names[i % names.length] as string));

test.each([
  ["every feature", FEATURE_NAMES, ID_COLUMNS],
  ["posts and authors alone", FEATURE_NAMES.filter((name) => ALONE.test(name)), []],
  ["every third", FEATURE_NAMES.filter((_, i) => i % 3 === 0), []],
] as const)("what is kept of %s is of its moment, the rest of the request's", (_, names, ids) => {
  const reader = new FeatureReader(names, ids);
  const then = rowsAt(NOW, reader, false);
  // A day is long enough to tell moments apart by every decay.
  const now = rowsAt(NOW + 86_400_000, reader, false);
  expect(columns(now, names, (name) => ALONE.test(name))).not.toEqual(
    columns(then, names, (name) => ALONE.test(name)),
  );
  // Made, then found.
  for (let time = 0; time < 2; time++) {
    const rows = rowsAt(NOW + 86_400_000, reader, true);
    const expected = names.map((name, i) => (ALONE.test(name) ? then : now)[i]);
    expect([...rows.subarray(0, names.length)]).toEqual(expected);
    expect(columns(rows, names, (name) => ALONE.test(name))).toEqual(
      columns(then, names, (name) => ALONE.test(name)),
    );
    expect(columns(rows, names, (name) => !ALONE.test(name))).toEqual(
      columns(now, names, (name) => !ALONE.test(name)),
    );
  }
});

test("what was kept is taken, not made again", () => {
  const reader = new FeatureReader(FEATURE_NAMES, []);
  const made = rowsAt(NOW, reader, true);
  const age = FEATURE_NAMES.indexOf("post.age_hours");
  // What the vectors say by now is not looked at.
  const post = state.edit("post", POSTS[0] as string);
  const created = post[POST.created] as number;
  post[POST.created] = created - 3_600_000;
  try {
    expect(rowsAt(NOW, reader, true)).toEqual(made);
    expect(rowsAt(NOW, reader, false)[age]).toBeCloseTo((made[age] as number) + 1, 3);
  } finally {
    post[POST.created] = created;
  }
});

test("families of posts alone and of authors alone look at nothing else of a request", () => {
  const plan = readPlan(FEATURE_NAMES, []);
  const vector = (entity: Entity) => new Float64Array(SLOTS[entity]).fill(1e12);
  for (const entity of ["post", "author"] as const) {
    expect(plan[entity].steps.length).toBeGreaterThan(2);
    const looked = new Set<PropertyKey>();
    const known = {
      ...emptyContext(),
      nowMs: 1e12 + 1,
      global: vector("global"),
      [entity]: vector(entity),
    };
    const context = new Proxy(known, {
      get: (target, name) => {
        looked.add(name);
        return Reflect.get(target, name);
      },
    });
    for (const { read, at } of plan[entity].steps) read(context, at, new Float32Array(64), 0);
    expect(
      [...looked].filter((name) => !["nowMs", "global", "priors", entity].includes(String(name))),
    ).toEqual([]);
    expect(looked).toContain(entity);
  }
});

test("each reader keeps its own columns, of some of the posts too", () => {
  const readers = [FEATURE_NAMES, FEATURE_NAMES.filter((_, i) => i % 2 === 0)].map(
    (names) => new FeatureReader(names, []),
  );
  kept.posts.length = 2;
  for (let time = 0; time < 2; time++)
    for (const reader of readers)
      expect(rowsAt(NOW, reader, true)).toEqual(rowsAt(NOW, reader, false));
});

test("a reader looks at nothing of the requests before", () => {
  const reader = new FeatureReader(FEATURE_NAMES, []);
  let looks = 0;
  class Watched extends Float64Array {
    override get length(): number {
      looks++;
      return super.length;
    }
  }
  const read = (post: Float64Array): void => {
    reader.begin(state, { userId: "1", nowMs: NOW, surface: "home" });
    reader.rows([post], ["2"], new Float32Array(FEATURE_NAMES.length), new Uint32Array(0), 0, 1);
  };
  const post = state.get("post", "1003") as Float64Array;
  read(new Watched(post));
  expect(looks).toBeGreaterThan(0);
  looks = 0;
  read(post);
  expect(looks).toBe(0);
});
