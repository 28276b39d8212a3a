import { expect, test } from "vitest";
import { retrievalRecall } from "./retrieval-recall.ts";

const wanted = [
  { userId: "1", relevant: new Set(["a", "b"]), seen: new Set(["s"]) },
  { userId: "2", relevant: new Set(["c"]), seen: new Set<string>() },
  { userId: "3", relevant: new Set(["z"]), seen: new Set<string>() },
];
const OPTIONS = { nowMs: 5, ks: [1, 3], seed: 1, rounds: 200 };

test("recall is the mean over viewers of the share found, and the viewer's seen posts are handed over", () => {
  const asked: unknown[] = [];
  const recall = retrievalRecall(
    {
      recommend: (userId, nowMs, k, exclude) => {
        asked.push([userId, nowMs, k, exclude]);
        return ["a", "c", "b"];
      },
    },
    wanted,
    OPTIONS,
  );
  expect(recall["recall@1"]?.value).toBeCloseTo((1 / 2 + 0 + 0) / 3, 12);
  expect(recall["recall@3"]?.value).toBeCloseTo((1 + 1 + 0) / 3, 12);
  expect(asked).toEqual(wanted.map(({ userId, seen }) => [userId, 5, 3, seen]));
});

test("the interval holds the mean, and has no width where all viewers are alike", () => {
  const some = retrievalRecall({ recommend: () => ["a", "b", "c"] }, wanted, OPTIONS);
  const { value, low, high } = some["recall@3"] as { value: number; low: number; high: number };
  expect(low).toBeLessThan(value);
  expect(high).toBeGreaterThan(value);
  const none = retrievalRecall({ recommend: () => [] }, wanted, OPTIONS);
  expect(none["recall@1"]).toEqual({ value: 0, low: 0, high: 0 });
});
