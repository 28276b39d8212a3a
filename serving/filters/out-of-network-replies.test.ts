import { expect, test } from "vitest";
import { type PostRow, queryOf, verdicts } from "../pipeline/home.fixture.ts";
import { outOfNetworkReplies } from "./out-of-network-replies.ts";

const reply = { in_reply_to_post_id: "5", conversation_id: "5" };

test("the filter is off unless its parameter is 1", () => {
  expect(outOfNetworkReplies().enabled?.(queryOf())).toBe(false);
  expect(outOfNetworkReplies().enabled?.(queryOf({}, { drop_out_of_network_replies: 1 }))).toBe(
    true,
  );
});

test("strangers' replies and reposts are dropped, followed authors' are not", () => {
  const posts: PostRow[] = [
    { post_id: "1", in_network: 0 },
    { post_id: "2", in_network: 0, ...reply },
    { post_id: "3", in_network: 0, repost_of_post_id: "5" },
    { post_id: "4", in_network: 1, ...reply },
    { post_id: "5", in_network: 1, repost_of_post_id: "5" },
    { post_id: "6", ...reply },
  ];
  expect(verdicts(outOfNetworkReplies(), queryOf(), posts)).toEqual([
    true,
    "a stranger's reply",
    "a stranger's repost",
    true,
    true,
    "a stranger's reply",
  ]);
});

test("a reply in an unknown conversation is dropped, whoever wrote it", () => {
  expect(
    verdicts(outOfNetworkReplies(), queryOf(), [
      { post_id: "1", in_network: 1, in_reply_to_post_id: "5" },
    ]),
  ).toEqual(["a reply in an unknown conversation"]);
});
