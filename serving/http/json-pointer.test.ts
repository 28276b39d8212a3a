import { expect, test } from "vitest";
import { jsonPointer, pointerPath } from "./json-pointer.ts";

test("pointers are those of RFC 6901, section 5", () => {
  expect(jsonPointer([])).toBe("");
  expect(jsonPointer(["foo", 0])).toBe("/foo/0");
  expect(jsonPointer([""])).toBe("/");
  expect(jsonPointer(["a/b"])).toBe("/a~1b");
  expect(jsonPointer(["c%d"])).toBe("/c%d");
  expect(jsonPointer(["m~n"])).toBe("/m~0n");
});

test("a pointer is read back to its tokens, also where escapes meet", () => {
  for (const path of [[], ["~1", "/~0"], ["", "~", "/"], ["0", "~01"]]) {
    expect(pointerPath(jsonPointer(path))).toEqual(path);
  }
});
