import { beforeEach, expect, test } from "vitest";
import { applyEvent } from "./engine.ts";
import { KeptRows } from "./kept-rows.ts";
import { MemoryState } from "./memory-store.ts";
import { FeatureReader } from "./reader.ts";
import { FEATURE_NAMES, ID_COLUMNS } from "./registry.ts";
import { type AuthorVectors, SharedReads } from "./shared-reads.ts";
import { SMALL_WORLD_START_MS, smallWorld } from "./small-world.fixture.ts";

const state = new MemoryState();
for (const event of smallWorld(3)) applyEvent(state, event);
const NOW = SMALL_WORLD_START_MS + 4 * 86_400_000;
const POSTS = ["1003", "1017", "1040", "no post"];
const AUTHORS = ["2", "9", "2", "no author"];
const ALONE = /^(author|post)\./;

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

test("each reader keeps its own columns, of some of the posts too", () => {
  const readers = [FEATURE_NAMES, FEATURE_NAMES.filter((_, i) => i % 2 === 0)].map(
    (names) => new FeatureReader(names, []),
  );
  kept.posts.length = 2;
  for (let time = 0; time < 2; time++)
    for (const reader of readers)
      expect(rowsAt(NOW, reader, true)).toEqual(rowsAt(NOW, reader, false));
});
