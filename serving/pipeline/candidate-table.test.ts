import { expect, test } from "vitest";
import {
  type CandidateTable,
  numberAt,
  numberColumn,
  takeRows,
  textAt,
  textColumn,
} from "./candidate-table.ts";
import { missingLike } from "./column.ts";

const table: CandidateTable = {
  n: 3,
  postIds: ["1", "2", "3"],
  authorIds: ["7", "8", "9"],
  source: Uint8Array.of(0, 1, 0),
  sourceNames: ["in_network", "popular"],
  origin: Int32Array.of(0, 2, 5),
  columns: new Map<string, Float32Array | Uint8Array | string[]>([
    ["age", Float32Array.of(1, Number.NaN, 3)],
    ["video", Uint8Array.of(1, 0, 1)],
    ["text", ["a", "", "c"]],
  ]),
  matrices: new Map([["heavy", { width: 2, values: Float32Array.of(1, 2, 3, 4, 5, 6) }]]),
  score: Float64Array.of(0.1, 0.2, 0.3),
};

test("taking rows takes them from every column and matrix, in the order asked for", () => {
  const taken = takeRows(table, Int32Array.of(2, 1));
  expect({ ...taken, columns: new Map(taken.columns) }).toEqual({
    n: 2,
    postIds: ["3", "2"],
    authorIds: ["9", "8"],
    source: Uint8Array.of(0, 1),
    sourceNames: ["in_network", "popular"],
    origin: Int32Array.of(5, 2),
    columns: new Map<string, Float32Array | Uint8Array | string[]>([
      ["age", Float32Array.of(3, Number.NaN)],
      ["video", Uint8Array.of(1, 0)],
      ["text", ["c", ""]],
    ]),
    matrices: new Map([["heavy", { width: 2, values: Float32Array.of(5, 6, 3, 4) }]]),
    score: Float64Array.of(0.3, 0.2),
  });
});

test("the table that rows are taken from stays as it was", () => {
  const before = structuredClone(table);
  takeRows(table, Int32Array.of(0)).score[0] = 9;
  expect(table).toEqual(before);
});

test("a cell of an absent column reads as missing", () => {
  expect(numberAt(numberColumn(table, "nothing"), 0)).toBeNaN();
  expect(textAt(textColumn(table, "nothing"), 0)).toBe("");
  expect(numberAt(numberColumn(table, "age"), 2)).toBe(3);
  expect(textAt(textColumn(table, "text"), 2)).toBe("c");
});

test("reading a column as the wrong kind is refused by its name", () => {
  expect(() => numberColumn(table, "text")).toThrow("column text holds text");
  expect(() => textColumn(table, "age")).toThrow("column age holds numbers");
});

test("a missing column of floats is NaN, of integers 0, of texts empty", () => {
  expect(missingLike(Float32Array.of(1), 2)).toEqual(Float32Array.of(Number.NaN, Number.NaN));
  expect(missingLike(Uint8Array.of(1), 2)).toEqual(Uint8Array.of(0, 0));
  expect(missingLike(["x"], 2)).toEqual(["", ""]);
});
