import { expect, test } from "vitest";
import { click, interactionsOf, NOW_MS } from "./interactions.fixture.ts";
import { popularity } from "./popularity.ts";

const EVENTS = [
  ...["1", "2", "3"].map((user) => click(user, "10", 48)),
  ...["4", "5"].map((user) => click(user, "11", 0)),
  click("6", "12", 0),
];

test("an old click counts half a half-life: three of two days ago are worth less than one of now", () => {
  const x = interactionsOf(EVENTS);
  const order = (halfLifeDays: number) =>
    popularity(x, { halfLifeDays, nowMs: NOW_MS }).recommend("9", NOW_MS, 3, new Set());
  expect(order(1)).toEqual(["11", "12", "10"]); // 2, 1, 3/4
  expect(order(100)).toEqual(["10", "11", "12"]);
});

test("what a viewer has seen is left out and the next ones move up", () => {
  const recommender = popularity(interactionsOf(EVENTS), { halfLifeDays: 1, nowMs: NOW_MS });
  expect(recommender.recommend("9", NOW_MS, 1, new Set(["11"]))).toEqual(["12"]);
  expect(recommender.recommend("9", NOW_MS, 5, new Set(["11", "10"]))).toEqual(["12"]);
});
