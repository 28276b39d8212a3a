import fc from "fast-check";
import { expect, test } from "vitest";
import { NOON, post } from "./events.fixture.ts";
import { PostList } from "./post-list.ts";
import { PostStore, type StoredPost } from "./post-store.ts";

const stored = (id: string, minute: number): StoredPost => {
  const store = new PostStore();
  store.apply(post(id, "1", { time_ms: NOON + minute }));
  return store.get(id) as StoredPost;
};

test("whatever comes and goes, posts are in order of time and arrival, each with its time beside it", () => {
  const step = fc.record({
    kind: fc.constantFrom("insert", "insert", "insert", "remove", "drop"),
    minute: fc.nat({ max: 12 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const list = new PostList<StoredPost>();
      let expected: StoredPost[] = [];
      for (const [i, { kind, minute }] of steps.entries()) {
        if (kind === "remove") {
          const gone = expected[minute];
          if (gone !== undefined) list.remove(gone);
          expected = expected.filter((one) => one !== gone);
        } else if (kind === "drop") {
          const old = expected.filter(({ createdAtMs }) => createdAtMs < NOON + minute);
          expect(list.dropBefore(NOON + minute)).toEqual(old);
          expected = expected.filter((one) => !old.includes(one));
        } else {
          const one = stored(`${i + 1}`, minute);
          expected = [...expected, one].sort((a, b) => a.createdAtMs - b.createdAtMs);
          expect(list.insert(one, 6)).toEqual(expected.splice(0, Math.max(0, expected.length - 6)));
        }
        expect(list.posts).toEqual(expected);
        expect(list.times).toEqual(expected.map(({ createdAtMs }) => createdAtMs));
      }
    }),
  );
});

test("a post that the list does not have is removed from it without effect", () => {
  const list = new PostList<StoredPost>();
  const there = stored("1", 0);
  list.insert(there, 6);
  list.remove(stored("2", 0));
  expect(list.posts).toEqual([there]);
  expect(list.times).toEqual([NOON]);
});
