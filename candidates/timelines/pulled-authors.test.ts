import { deserialize, serialize } from "node:v8";
import { expect, test } from "vitest";
import { HOUR, NOON, post, userDeleted } from "../events.fixture.ts";
import { PulledAuthors } from "./pulled-authors.ts";

const followers = new Map<string, number>();
const authors = (): PulledAuthors => {
  followers.clear();
  const graph = { followerCount: (userId: string) => followers.get(userId) ?? 0 };
  return new PulledAuthors(graph, { followerThreshold: 2, retentionHours: 48 });
};
const at = (hours: number) => ({ time_ms: NOON + hours * HOUR });

test("an author is pulled from the first post with too many followers on, older posts included", () => {
  const pulled = authors();
  pulled.apply(post("1", "7", at(0)));
  expect(pulled.has("7")).toBe(false);
  followers.set("7", 2);
  pulled.apply(post("2", "7", at(1)));
  expect([pulled.has("7"), pulled.has("8")]).toEqual([true, false]);
  expect(pulled.covers("7", NOON)).toBe(true);
  pulled.apply(post("3", "7", at(2)));
  expect([0, 1, 2].map((hours) => pulled.mayBePushed("7", NOON + hours * HOUR))).toEqual([
    ...[true, true, false],
  ]);
});

test("who falls below the threshold is pushed again, and pulled until what was not pushed is forgotten", () => {
  const pulled = authors();
  followers.set("7", 2);
  pulled.apply(post("1", "7", at(0)));
  followers.set("7", 1);
  pulled.apply(post("2", "7", at(1)));
  expect([pulled.covers("7", NOON), pulled.covers("7", NOON + HOUR)]).toEqual([true, false]);
  pulled.trim(NOON + 48 * HOUR);
  expect(pulled.has("7")).toBe(true);
  pulled.trim(NOON + 48 * HOUR + 1);
  expect(pulled.has("7")).toBe(false);
});

test("a deleted author is forgotten, and a snapshot restores to the same", () => {
  const pulled = authors();
  followers.set("7", 2).set("8", 2);
  pulled.apply(post("1", "7"));
  pulled.apply(post("2", "8"));
  pulled.apply(userDeleted("7"));
  const restored = authors();
  restored.restore(deserialize(serialize(pulled.snapshot())));
  expect([restored.has("7"), restored.has("8")]).toEqual([false, true]);
});
