import { expect, test } from "vitest";
import { componentsOf, definePipeline } from "./define-pipeline.ts";
import { byId, filter, hydrator, pipeline, sideEffect, source } from "./pipeline.fixture.ts";

test("every problem of a pipeline's declarations is named at once", () => {
  const wrong = () =>
    definePipeline({
      ...pipeline(),
      sources: [source("Main", []), source("duplicate", [])],
      hydrators: [hydrator("core", () => ({}), { timeoutMs: -1 })],
      filters: [filter("core", () => () => true, { timeoutMs: 5 })],
      sideEffects: [sideEffect("log", async () => {}, { timeoutMs: 0 })],
    });
  expect(wrong).toThrow(
    /Main: a name is snake_case.*duplicate: this name is taken.*core: timeoutMs must be.*core: this name is taken.*core: filters and selectors are synchronous.*log: side effects are awaited/,
  );
});

test("a pipeline without a source is refused", () => {
  expect(() => definePipeline({ ...pipeline(), sources: [] })).toThrow("at least one is needed");
});

test("components are listed in the order of their stages", () => {
  const listed = componentsOf(pipeline({ lightScorers: [byId("light")] }));
  expect(listed.map(({ name }) => name)).toEqual(["main", "light", "heavy", "by_score"]);
});
