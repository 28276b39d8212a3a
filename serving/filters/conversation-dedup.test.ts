import { expect, test } from "vitest";
import { queryOf, verdicts } from "../pipeline/home.fixture.ts";
import { conversationDedup } from "./conversation-dedup.ts";

const BELOW = "a better post of this conversation is above";

test("the first row of each conversation stays: root, replies and reposts belong together", () => {
  expect(
    verdicts(conversationDedup(), queryOf(), [
      { post_id: "12", conversation_id: "10" },
      { post_id: "10", conversation_id: "10" },
      { post_id: "11", conversation_id: "10" },
      { post_id: "20", conversation_id: "20" },
      { post_id: "21", conversation_id: "21", repost_of_post_id: "20" },
      { post_id: "22", repost_of_post_id: "20" },
      { post_id: "30" },
    ]),
  ).toEqual([true, BELOW, BELOW, true, BELOW, BELOW, true]);
});
