import { expect, test } from "vitest";
import { type PostRow, queryOf, verdicts } from "../pipeline/home.fixture.ts";
import { previouslySeen } from "./previously-seen.ts";
import { previouslyServed } from "./previously-served.ts";

const posts: PostRow[] = [
  { post_id: "1" },
  { post_id: "2", repost_of_post_id: "1" },
  { post_id: "3", in_reply_to_post_id: "1" },
  { post_id: "4", repost_of_post_id: "5", in_reply_to_post_id: "6" },
];

test("a seen post, reposts of it and replies to it are dropped", () => {
  const query = queryOf({ seenIds: new Set(["1"]), servedIds: new Set(["4"]) });
  expect(verdicts(previouslySeen(), query, posts)).toEqual([
    "seen",
    "a repost of a seen post",
    "a reply to a seen post",
    true,
  ]);
});

test("the same holds of posts that were served lately, by their own rule", () => {
  const query = queryOf({ servedIds: new Set(["1"]), seenIds: new Set(["4"]) });
  expect(verdicts(previouslyServed(), query, posts)).toEqual([
    "served lately",
    "a repost of a post served lately",
    "a reply to a post served lately",
    true,
  ]);
});

test("at the merge, before anything is hydrated, they go by the post's own id", () => {
  const query = queryOf({ seenIds: new Set(["2"]) });
  const filter = previouslySeen({ name: "seen_at_merge" });
  expect(filter.name).toBe("seen_at_merge");
  expect(verdicts(filter, query, [{ post_id: "1" }, { post_id: "2" }])).toEqual([true, "seen"]);
});

test("a missing relation is not looked up as if it were an id", () => {
  const asked: string[] = [];
  const has = (id: string) => {
    asked.push(id);
    return false;
  };
  verdicts(previouslySeen(), queryOf({ seenIds: { has } }), [
    { post_id: "1", repost_of_post_id: "" },
  ]);
  expect(asked).toEqual(["1"]);
});
