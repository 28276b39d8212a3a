import { expect, test } from "vitest";
import type { Column } from "./column.ts";
import { LazyColumns } from "./lazy-columns.ts";

const columns = new Map<string, Column>([
  ["age", Float64Array.of(10, 11, 12, 13)],
  ["text", ["a", "b", "c", "d"]],
]);

test("rows chosen again and again are those of the first columns", () => {
  const once = LazyColumns.take(columns, Int32Array.of(3, 1, 0));
  const twice = LazyColumns.take(once, Int32Array.of(2, 0));
  expect(twice.get("age")).toEqual(Float64Array.of(10, 13));
  expect(twice.get("text")).toEqual(["a", "d"]);
  expect([...once]).toEqual([
    ["age", Float64Array.of(13, 11, 10)],
    ["text", ["d", "b", "a"]],
  ]);
  expect(twice.get("none")).toBeUndefined();
});

test("a column is copied once, at its first reading, also through maps made of it", () => {
  const taken = LazyColumns.take(columns, Int32Array.of(1));
  const more = LazyColumns.with(taken, [["score", Float64Array.of(5)]]);
  expect(more.get("age")).toBe(taken.get("age"));
  expect(taken.get("age")).toBe(taken.get("age"));
  expect([...more.keys()]).toEqual(["age", "text", "score"]);
  expect(more.size).toBe(3);
  expect(taken.has("score")).toBe(false);
});

test("added columns win over those of the same name, and are what changed", () => {
  const taken = LazyColumns.take(columns, Int32Array.of(2));
  const more = LazyColumns.with(taken, [["age", Float64Array.of(1)]]);
  expect(more.get("age")).toEqual(Float64Array.of(1));
  taken.get("text");
  expect(LazyColumns.changed(taken, more)).toEqual(["age"]);
  expect(LazyColumns.changed(taken, LazyColumns.take(columns, Int32Array.of(2)))).toEqual([
    "age",
    "text",
  ]);
});
