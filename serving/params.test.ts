import { expect, test } from "vitest";
import { DEFAULT_PARAMS, PARAMS, type Parameter, paramProblems } from "./params.ts";

test("every parameter has a default within its range and a reason", () => {
  expect(paramProblems(DEFAULT_PARAMS)).toEqual([]);
  for (const [name, parameter] of Object.entries<Parameter>(PARAMS)) {
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
    expect(parameter.why.length).toBeGreaterThan(20);
    expect(parameter.unit).not.toBe("");
  }
});

test("every wrong override is named at once, by pointer", () => {
  const wrong = {
    heavy_limit: 1.5,
    reserve: Number.NaN,
    diversity_floor: 2,
    "a/b~c": 1,
    toString: 1,
  };
  expect(paramProblems(wrong, "/params")).toEqual([
    { pointer: "/params/heavy_limit", detail: "must be a whole number" },
    { pointer: "/params/reserve", detail: "must be a finite number" },
    { pointer: "/params/diversity_floor", detail: "must be in 0–1" },
    { pointer: "/params/a~1b~0c", detail: expect.stringContaining("no ranking parameter") },
    { pointer: "/params/toString", detail: expect.stringContaining("no ranking parameter") },
  ]);
});
