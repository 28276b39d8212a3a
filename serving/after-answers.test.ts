import { expect, test } from "vitest";
import { AfterAnswers } from "./after-answers.ts";

test("work begins on a later turn, and settled waits for it and for what it begins", async () => {
  const done: string[] = [];
  const after = new AfterAnswers((error) => done.push(String(error)));
  after.begin(async () => {
    after.begin(async () => done.push("second"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    done.push("first");
  });
  expect(done).toEqual([]);
  await after.settled();
  expect(done).toEqual(["second", "first"]);
});

test("work that fails is told of and does not keep settled from resolving", async () => {
  const errors: unknown[] = [];
  const after = new AfterAnswers((error) => errors.push(error));
  after.begin(async () => {
    throw new Error("late");
  });
  after.begin(() => {
    throw new Error("at once");
  });
  await after.settled();
  expect(errors.map((error) => (error as Error).message)).toEqual(["late", "at once"]);
});
