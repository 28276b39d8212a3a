import { expect, test } from "vitest";
import { FeatureCopies } from "./feature-copies.ts";

const vector = (value: number): Float64Array => Float64Array.of(value);
const between = (value: number) => ({ userAuthor: vector(value), authorUser: undefined });

test("an answer that was overtaken by a later one does not take its place", () => {
  const copies = new FeatureCopies(1_000_000);
  copies.keep("post", "7", vector(2), 20);
  copies.keep("post", "7", vector(1), 10);
  expect(copies.find("post", "7")).toEqual({ value: vector(2), fetchedMs: 20 });
  copies.keep("post", "7", undefined, 30);
  expect(copies.findAll("post", ["8", "7"])).toEqual([
    undefined,
    { value: undefined, fetchedMs: 30 },
  ]);
  copies.keepPair("1|2", between(2), 20);
  copies.keepPair("1|2", between(1), 10);
  expect(copies.findPairs(["1|2"])).toEqual([{ value: between(2), fetchedMs: 20 }]);
});

test("what was fetched longest ago leaves first, whoever was found in between", () => {
  // Room for one copy of each entity, at least.
  const copies = new FeatureCopies(1);
  copies.keep("post", "7", vector(1), 10);
  copies.find("post", "7");
  copies.keep("post", "8", vector(2), 20);
  expect(copies.find("post", "7")).toBeUndefined();
  expect(copies.find("post", "8")?.value).toEqual(vector(2));
});
