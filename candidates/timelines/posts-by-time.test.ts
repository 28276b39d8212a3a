import fc from "fast-check";
import { expect, test } from "vitest";
import { compareIds } from "../../datasets/ids.ts";
import { NOON, post } from "../events.fixture.ts";
import { PostStore } from "../post-store.ts";
import { postsByTime } from "./posts-by-time.ts";

const AUTHORS = ["1", "2", "3", "4"];

test("whatever is posted when, posts come newest first with ties by id, from any place on, as sorting all of them gives", () => {
  const world = fc.uniqueArray(
    fc.record({
      id: fc.integer({ min: 1, max: 200 }),
      author: fc.constantFrom(...AUTHORS),
      minutes: fc.nat({ max: 8 }),
      repost: fc.boolean(),
    }),
    { maxLength: 60, selector: ({ id }) => id },
  );
  fc.assert(
    fc.property(world, fc.subarray(AUTHORS), fc.nat({ max: 60 }), (posts, wanted, start) => {
      const store = new PostStore();
      for (const { id, author, minutes, repost } of posts)
        store.apply(
          post(`${id}`, author, {
            time_ms: NOON - minutes,
            ...(repost ? { repost_of_post_id: "999", repost_of_author_id: "9" } : {}),
          }),
        );
      const nowMs = NOON - 1;
      const expected = posts
        .filter(({ author, minutes }) => wanted.includes(author) && NOON - minutes <= nowMs)
        .map(({ id, minutes }) => ({ postId: `${id}`, timeMs: NOON - minutes }))
        .sort((a, b) => b.timeMs - a.timeMs || compareIds(a.postId, b.postId));
      const after = expected[start];
      const found = Array.from(postsByTime(store, wanted, nowMs, after), (one) => one.postId);
      const from = after === undefined ? 0 : start + 1;
      expect(found).toEqual(expected.slice(from).map(({ postId }) => postId));
    }),
    { numRuns: 300 },
  );
});

test("a place between posts, or at a post that is gone, is a place to go on from", () => {
  const store = new PostStore();
  for (const id of ["1", "2", "4"]) store.apply(post(id, "1", { time_ms: NOON }));
  const after = { postId: "3", timeMs: NOON };
  expect(Array.from(postsByTime(store, ["1"], NOON, after), ({ postId }) => postId)).toEqual(["4"]);
});
