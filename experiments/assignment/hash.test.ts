import { describe, expect, test } from "vitest";
import { bucket, fnv1a32 } from "./hash.ts";

describe("fnv1a32", () => {
  test("gives the vectors of the FNV authors' test suite", () => {
    expect(fnv1a32("")).toBe(0x811c9dc5);
    expect(fnv1a32("a")).toBe(0xe40c292c);
    expect(fnv1a32("foobar")).toBe(0xbf9cf968);
  });

  test("continues from a state as if the texts were joined", () => {
    expect(fnv1a32("bar", fnv1a32("foo"))).toBe(fnv1a32("foobar"));
  });
});

describe("bucket", () => {
  test.each([
    ["seed", "a", 0.0505],
    ["seed", "é1", 0.1335],
    ["seed", "用户1", 0.4469],
    ["seed", "😀1", 0.2978],
  ])(
    "version 2 of (%s, %s) is %d: UTF-16 code units, beyond ASCII too",
    (seed, value, expected) => {
      expect(bucket(seed, value, 2)).toBe(expected);
    },
  );

  test("version 1 puts the value first and has 1,000 buckets", () => {
    expect(bucket("b", "a", 1)).toBe(0.946);
    expect(bucket("b", "a", 1)).toBe((fnv1a32("ab") % 1000) / 1000);
  });

  test("an unknown version has no bucket", () => {
    expect(bucket("seed", "a", 0)).toBeNull();
    expect(bucket("seed", "a", 3)).toBeNull();
  });
});
