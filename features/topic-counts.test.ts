import { expect, test } from "vitest";
import { addToTopic } from "./topic-counts.ts";

test("counts are kept by topic between the given slots and nowhere else", () => {
  const vector = new Float64Array(8).fill(0);
  vector[0] = 42;
  vector[7] = 43;
  addToTopic(vector, 1, 3, 5, 1);
  addToTopic(vector, 1, 3, 9, 2);
  addToTopic(vector, 1, 3, 5, 0.5);
  expect([...vector]).toEqual([42, 5, 1.5, 9, 2, 0, 0, 43]);
});

test("a newcomer to a full list takes the rarest topic's place and its count", () => {
  const vector = new Float64Array(4);
  addToTopic(vector, 0, 2, 5, 3);
  addToTopic(vector, 0, 2, 9, 1);
  addToTopic(vector, 0, 2, 7, 1);
  expect([...vector]).toEqual([5, 3, 7, 2]);
});
