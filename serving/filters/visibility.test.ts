import { expect, test } from "vitest";
import { queryOf, verdicts } from "../pipeline/home.fixture.ts";
import { visibility } from "./visibility.ts";

test("a deleted post is dropped", () => {
  expect(
    verdicts(visibility(), queryOf(), [
      { post_id: "1", deleted: 1, in_network: 1 },
      { post_id: "2", deleted: 0, in_network: 1 },
    ]),
  ).toEqual(["deleted", true]);
});

test("some labels hide a post from everybody, others only keep it from being recommended", () => {
  const post = (safety_labels: string, in_network?: number) => ({
    post_id: "1",
    safety_labels,
    ...(in_network === undefined ? {} : { in_network }),
  });
  expect(
    verdicts(visibility(), queryOf(), [
      post("", 0),
      post("spam", 1),
      post("abusive", 1),
      post("abusive", 0),
      post("abusive"),
      post("harmless\nsensitive_media", 0),
      post("harmless", 0),
      post("abusive\nspam", 1),
    ]),
  ).toEqual([
    true,
    "label spam",
    true,
    "label abusive: not recommended",
    "label abusive: not recommended",
    "label sensitive_media: not recommended",
    true,
    "label spam",
  ]);
});

test("the labels are options; unknown options are refused", () => {
  const posts = [{ post_id: "1", safety_labels: "spam", in_network: 1 }];
  expect(verdicts(visibility({ hidden: ["gore"] }), queryOf(), posts)).toEqual([true]);
  expect(() => visibility({ hiden: [] } as never)).toThrow(/hiden/);
});
