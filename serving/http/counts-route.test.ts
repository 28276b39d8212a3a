import { expect, test } from "vitest";
import { testApp } from "./app.fixture.ts";

const app = await testApp({
  counts: {
    of: (postId) => ({ favorite: Number(postId), reply: 0, repost: 1, quote: 0, share: 0 }),
  },
});

test("counts of several posts are answered by post", async () => {
  const answer = await app.server.inject("/v1/counts?post_ids=7,8");
  expect(answer.json()).toEqual({
    counts: {
      7: { favorite: 7, reply: 0, repost: 1, quote: 0, share: 0 },
      8: { favorite: 8, reply: 0, repost: 1, quote: 0, share: 0 },
    },
  });
});

test.each([
  ["/v1/counts", "?post_ids"],
  ["/v1/counts?post_ids=", "?post_ids/0"],
  ["/v1/counts?post_ids=1,x", "?post_ids/1"],
  [`/v1/counts?post_ids=${Array(201).fill("1")}`, "?post_ids"],
])("%s is refused by name", async (url, pointer) => {
  const answer = await app.server.inject(url);
  expect(answer.statusCode).toBe(400);
  expect(answer.json().errors).toEqual([expect.objectContaining({ pointer })]);
});
