import { expect, test } from "vitest";
import type { HeadStatistics } from "./head-statistics.ts";
import { sharedTowers } from "./shared-towers.ts";

const head = (name: string, positives: number): HeadStatistics => ({
  name,
  kind: "binary",
  observed: 100_000,
  positives,
  mean: positives / 100_000,
});

test("rare negative heads share one tower; rare positive ones, common ones and those never seen have their own", () => {
  const heads = [
    head("favorite", 5000),
    head("not_interested", 400),
    head("quote", 30),
    head("mute_author", 999),
    head("block_author", 1000),
    head("report", 0),
    head("click", 9000),
  ];
  expect(sharedTowers(heads)).toEqual([0, 1, 2, 1, 3, 4, 5]);
});

test("a single rare negative head keeps a tower of its own", () => {
  expect(sharedTowers([head("click", 9), head("not_interested", 9)])).toEqual([0, 1]);
});
