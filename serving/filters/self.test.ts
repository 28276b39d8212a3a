import { expect, test } from "vitest";
import { queryOf, verdicts } from "../pipeline/home.fixture.ts";
import { self } from "./self.ts";

test("the viewer's own posts are dropped", () => {
  expect(
    verdicts(self(), queryOf({ viewerId: "7" }), [
      { post_id: "1", author_id: "7" },
      { post_id: "2", author_id: "77" },
    ]),
  ).toEqual([false, true]);
});
