import { readdir, readFile } from "node:fs/promises";
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

test("every parameter is read by the code that it claims to rule", async () => {
  const folder = new URL("./", import.meta.url);
  const files = (await readdir(folder, { recursive: true })).filter(
    (file) => /^[a-z].*\.ts$/.test(file) && !/test\.ts$|fixture|^params\.ts$/.test(file),
  );
  const code = (
    await Promise.all(files.map((file) => readFile(new URL(file, folder), "utf8")))
  ).join();
  for (const name of Object.keys(PARAMS)) expect(code).toMatch(new RegExp(`\\b${name}\\b`));
});
