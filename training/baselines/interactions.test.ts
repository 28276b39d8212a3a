import { expect, test } from "vitest";
import { EventSchema } from "../../datasets/events.ts";
import { click, interactionsOf, NOW_MS, twoTastes } from "./interactions.fixture.ts";
import { byPost } from "./interactions.ts";

test("weights add up per viewer and post, the newest time stays, and what was undone is gone", () => {
  const x = interactionsOf([
    click("1", "10", 5),
    click("1", "10", 3),
    click("1", "11", 2),
    click("1", "11", 1, true),
    click("2", "11", 4),
  ]);
  expect(x.userIds).toEqual(["1", "2"]);
  expect([...x.starts]).toEqual([0, 1, 2]);
  expect([...x.posts].map((post) => x.postIds[post])).toEqual(["10", "11"]);
  expect([...x.weights]).toEqual([2, 1]);
  expect(x.timeMs[0]).toBe(NOW_MS - 3 * 3_600_000);
});

test("what was shown counts as seen, and only listed actions count as liking", () => {
  const shown = EventSchema.parse({
    type: "impression",
    time_ms: NOW_MS,
    request_id: "q",
    user_id: "1",
    post_id: "12",
    position: 0,
  });
  const x = interactionsOf([
    shown,
    click("1", "10"),
    { ...click("1", "13"), head: "dwell" } as never,
  ]);
  expect([...(x.seen.get("1") as Set<string>)].sort()).toEqual(["10", "12", "13"]);
  expect(x.posts.length).toBe(1);
});

test("the matrix by post holds the same entries as the one by viewer", () => {
  const x = interactionsOf(twoTastes(3).events);
  const columns = byPost(x);
  const seen: string[] = [];
  for (let i = 0; i < x.postIds.length; i++)
    for (let c = columns.starts[i] as number; c < (columns.starts[i + 1] as number); c++) {
      const entry = columns.entries[c] as number;
      expect(x.posts[entry]).toBe(i);
      const user = columns.users[c] as number;
      expect(entry).toBeGreaterThanOrEqual(x.starts[user] as number);
      expect(entry).toBeLessThan(x.starts[user + 1] as number);
      seen.push(String(entry));
    }
  expect(new Set(seen).size).toBe(x.posts.length);
});
