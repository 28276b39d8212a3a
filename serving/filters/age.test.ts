import { expect, test } from "vitest";
import { NOW_MS, queryOf, verdicts } from "../pipeline/home.fixture.ts";
import { age } from "./age.ts";

const HOUR_MS = 3_600_000;
const at = (created_at_ms: number) => ({ post_id: "1", created_at_ms });

test("48 hours are kept to the millisecond, a millisecond more is not", () => {
  expect(
    verdicts(age(), queryOf(), [at(NOW_MS - 48 * HOUR_MS), at(NOW_MS - 48 * HOUR_MS - 1)]),
  ).toEqual([true, "older than 48 h"]);
});

test("the limit is a ranking parameter", () => {
  const query = queryOf({}, { max_age_hours: 2 });
  expect(verdicts(age(), query, [at(NOW_MS - HOUR_MS), at(NOW_MS - 3 * HOUR_MS)])).toEqual([
    true,
    "older than 2 h",
  ]);
});

test("a clock that is a little ahead is forgiven, a post of tomorrow is not", () => {
  expect(verdicts(age(), queryOf(), [at(NOW_MS + 60_000), at(NOW_MS + 60_001)])).toEqual([
    true,
    "from the future",
  ]);
});

test("a post of unknown age is dropped", () => {
  expect(verdicts(age(), queryOf(), [{ post_id: "1" }])).toEqual(["age unknown"]);
});
