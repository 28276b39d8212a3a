import { expect, test } from "vitest";
import type { VectorHolder } from "../entities.ts";
import { FeatureCopies } from "./feature-copies.ts";

const vector = (value: number): Float64Array => Float64Array.of(value);
const between = (value: number) => ({ userAuthor: vector(value), authorUser: undefined });
const found = (copies: readonly ({ vector: Float64Array | undefined } | undefined)[]) =>
  copies.map((copy) => copy?.vector?.[0]);

test("an answer that was overtaken by a later one does not take its place", () => {
  const copies = new FeatureCopies(1_000_000);
  copies.keep("post", "7", vector(2), 20);
  copies.keep("post", "7", vector(1), 10);
  expect(copies.find("post", "7")).toMatchObject({ vector: vector(2), fetchedMs: 20 });
  copies.keep("post", "7", undefined, 30);
  const posts = copies.findAll("post", ["8", "7"]);
  expect(posts[0]).toBeUndefined();
  expect(posts[1]).toMatchObject({ vector: undefined, fetchedMs: 30 });
  copies.keepPair("1", "2", between(2), 20);
  copies.keepPair("1", "2", between(1), 10);
  expect(copies.findPairs("1", ["2"])).toMatchObject([{ between: between(2), fetchedMs: 20 }]);
});

test("what was fetched longest ago leaves first, whoever was found in between", () => {
  // Room for one copy of each entity, at least.
  const copies = new FeatureCopies(1);
  copies.keep("post", "7", vector(1), 10);
  copies.find("post", "7");
  copies.keep("post", "8", vector(2), 20);
  expect(copies.find("post", "7")).toBeUndefined();
  expect(copies.find("post", "8")?.vector).toEqual(vector(2));
});

test("a post in hand remembers its copy, as long as it is kept, and sees what is fetched later", () => {
  const copies = new FeatureCopies(1);
  const post: VectorHolder = {};
  expect(found(copies.findAll("post", ["7"], [post]))).toEqual([undefined]);
  copies.keep("post", "7", vector(1), 10);
  expect(found(copies.findAll("post", ["7"], [post]))).toEqual([1]);
  // Not looked up any more: else nothing would be found under this key.
  expect(found(copies.findAll("post", ["not 7"], [post]))).toEqual([1]);
  copies.keep("post", "7", vector(2), 20);
  expect(found(copies.findAll("post", ["not 7"], [post]))).toEqual([2]);
  copies.keep("post", "8", vector(3), 30);
  expect(post.vectorCell?.vector).toBeUndefined();
  expect(found(copies.findAll("post", ["7"], [post]))).toEqual([undefined]);
  copies.keep("post", "7", vector(4), 40);
  expect(found(copies.findAll("post", ["7"], [post]))).toEqual([4]);
});

test("a post in hand is looked up where another cache, or another store, had it before", () => {
  const [one, other] = [new FeatureCopies(1), new FeatureCopies(1)];
  one.keep("post", "7", vector(1), 10);
  other.keep("post", "7", vector(2), 10);
  const post: VectorHolder = { vectorCell: { vector: vector(0) } };
  expect(found(one.findAll("post", ["7"], [post]))).toEqual([1]);
  expect(found(other.findAll("post", ["7"], [post]))).toEqual([2]);
});

test("a pair remembers its author's copy likewise", () => {
  const copies = new FeatureCopies(1);
  copies.keepPair("1", "2", between(1), 10);
  const pairs = copies.findPairs("1", ["2"]);
  copies.keep("author", "2", vector(1), 10);
  expect(found(copies.findAll("author", ["2"], pairs))).toEqual([1]);
  expect(found(copies.findAll("author", ["not 2"], pairs))).toEqual([1]);
  copies.keep("author", "3", vector(3), 20);
  expect(found(copies.findAll("author", ["2"], pairs))).toEqual([undefined]);
});

test("pairs leave with all others of their viewer, the viewer fetched longest ago first", () => {
  // Room for sixteen pairs, two of each viewer.
  const copies = new FeatureCopies(16 * 664);
  for (let viewer = 1; viewer <= 9; viewer++)
    for (const author of ["2", "3"]) copies.keepPair(`${viewer}`, author, between(viewer), viewer);
  expect(copies.findPairs("1", ["2", "3"])).toEqual([undefined, undefined]);
  for (let viewer = 2; viewer <= 9; viewer++)
    expect(copies.findPairs(`${viewer}`, ["2", "3"])).toMatchObject([{}, {}]);
});

test("a viewer who meets ever more authors takes nobody's room", () => {
  const copies = new FeatureCopies(16 * 664);
  copies.keepPair("1", "2", between(1), 10);
  for (let author = 2; author <= 100; author++)
    copies.keepPair("7", `${author}`, between(author), 20);
  expect(copies.findPairs("1", ["2"])).toMatchObject([{ between: between(1) }]);
  expect(copies.findPairs("7", ["98", "100"])).toMatchObject([
    undefined,
    { between: between(100) },
  ]);
});

test("clearing empties the copies that somebody holds", () => {
  const copies = new FeatureCopies(1_000_000);
  copies.keep("post", "7", vector(1), 10);
  copies.keepPair("1", "2", between(1), 10);
  const post: VectorHolder = {};
  copies.findAll("post", ["7"], [post]);
  copies.clear();
  expect(post.vectorCell?.vector).toBeUndefined();
  expect(found(copies.findAll("post", ["7"], [post]))).toEqual([undefined]);
  expect(copies.findPairs("1", ["2"])).toEqual([undefined]);
});
