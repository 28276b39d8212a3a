import { expect, test } from "vitest";
import { NOW_MS, queryOf, verdicts } from "../pipeline/home.fixture.ts";
import { missingCore } from "./missing-core.ts";

test("a post without author or time of creation is dropped", () => {
  expect(
    verdicts(missingCore(), queryOf(), [
      { post_id: "1", created_at_ms: NOW_MS },
      { post_id: "2", author_id: "", created_at_ms: NOW_MS },
      { post_id: "3", author_id: "0", created_at_ms: NOW_MS },
      { post_id: "4" },
    ]),
  ).toEqual([true, "no author", "no author", "unknown to the post store"]);
});

test("without any core data everything is dropped", () => {
  expect(verdicts(missingCore(), queryOf(), [{ post_id: "1" }])).toEqual([
    "unknown to the post store",
  ]);
});
