import { expect, test } from "vitest";
import { queryOf, verdicts } from "../pipeline/home.fixture.ts";
import { repostDedup } from "./repost-dedup.ts";

const DUPLICATE = "the same post is a candidate already";

test("of an original and its reposts the first row stays", () => {
  expect(
    verdicts(repostDedup(), queryOf(), [
      { post_id: "1" },
      { post_id: "2", repost_of_post_id: "1" },
      { post_id: "3", repost_of_post_id: "9" },
      { post_id: "4", repost_of_post_id: "9" },
      { post_id: "9" },
      { post_id: "5" },
    ]),
  ).toEqual([true, DUPLICATE, true, DUPLICATE, DUPLICATE, true]);
});

test("without the column every post counts as an original", () => {
  expect(verdicts(repostDedup(), queryOf(), [{ post_id: "1" }, { post_id: "2" }])).toEqual([
    true,
    true,
  ]);
});
