import fc from "fast-check";
import { expect, test } from "vitest";
import { InvalidRequest } from "./invalid-request.ts";
import { readJsonBody } from "./json-body.ts";

const read = (text: string) => readJsonBody(Buffer.from(text));
const pointers = (text: string) => read(text).errors.map(({ pointer }) => pointer);
const refusal = (bytes: Buffer): string => {
  try {
    readJsonBody(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidRequest);
    return (error as InvalidRequest).errors[0]?.detail ?? "";
  }
  throw new Error("was taken");
};

test("any JSON value is read as JSON.parse reads it, without errors", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6, stringUnit: "grapheme" }), fc.nat(4), (text, indent) => {
      fc.pre(!text.includes("__proto__"));
      const spaced = JSON.stringify(JSON.parse(text), undefined, indent);
      const body = read(spaced);
      expect(body.value).toEqual(JSON.parse(spaced));
      expect(body.errors).toEqual([]);
    }),
    { numRuns: 300, seed: 5 },
  );
});

test("a member given twice is refused at its own place, not where its name is a value", () => {
  expect(pointers('{"a":1,"b":{"c":1,"c":2},"a":3}')).toEqual(["/b/c", "/a"]);
  expect(pointers('[{"a":"a"},{"a":"a"}]')).toEqual([]);
  expect(pointers('{"a":["a","a",{"x":1,"\\u0078":2}]}')).toEqual(["/a/2/x"]);
});

test("quotes, brackets and commas inside strings do not move the place", () => {
  expect(pointers('{"q\\"{[,":1,"b":["],",{"z":0,"z":0}]}')).toEqual(["/b/1/z"]);
});

test("a member named __proto__ is refused wherever it stands, and pollutes nothing", () => {
  expect(pointers('{"a":[{"__proto__":{"polluted":true}}]}')).toEqual(["/a/0/__proto__"]);
  expect(pointers('{"\\u005f_proto__":1}')).toEqual(["/__proto__"]);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});

test("half a surrogate pair is refused; a whole pair is text", () => {
  expect(pointers('{"a":"\\ud83d"}')).toEqual(["/a"]);
  expect(pointers('["x","\\udc00\\ud800"]')).toEqual(["/1"]);
  expect(pointers('["\\ud83d\\ude00"]')).toEqual([]);
});

test("nesting ends at 32 levels, and depth costs no stack", () => {
  expect(pointers("[".repeat(32) + "]".repeat(32))).toEqual([]);
  expect(pointers("[".repeat(33) + "]".repeat(33))).toEqual(["/0".repeat(32)]);
  const deep = 200_000;
  expect(read("[".repeat(deep) + "]".repeat(deep)).errors).toHaveLength(1);
});

test("what is not JSON is refused with its place and never repeated", () => {
  expect(refusal(Buffer.from('{"user_id":"secret-4711",}'))).toMatch(/not JSON/);
  expect(refusal(Buffer.from('{"user_id":"secret-4711",}'))).not.toMatch(/4711/);
  expect(refusal(Buffer.from("NaN"))).toMatch(/not JSON/);
  expect(refusal(Buffer.from('{"a":1'))).toMatch(/not JSON/);
  expect(refusal(Buffer.from("  "))).toMatch(/empty/);
  expect(refusal(Buffer.from("\ufeff{}"))).toMatch(/not JSON/);
  expect(refusal(Buffer.from([0x22, 0xff, 0x22]))).toBe("is not UTF-8");
  expect(refusal(Buffer.from("{}", "utf16le"))).toMatch(/not JSON/);
});
