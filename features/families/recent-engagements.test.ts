import { expect, test } from "vitest";
import type { EventOf } from "../../datasets/events.ts";
import { random, shuffle } from "../../datasets/random.ts";
import {
  eachRecentEngagement,
  RECENT_ENGAGEMENTS,
  recentEngagements,
  towerHash,
} from "./recent-engagements.ts";

const AT = 5;

type Act = { readonly head: string; readonly undo?: boolean };
const act = (
  timeMs: number,
  postId: string,
  { head, undo }: Act = { head: "favorite" },
): EventOf<"engagement"> => ({
  type: "engagement",
  time_ms: timeMs,
  user_id: "1",
  post_id: postId,
  author_id: `9${postId}`,
  head,
  ...(undo && { undo }),
});

function listOf(events: readonly EventOf<"engagement">[]): number[][] {
  const state = new Float64Array(AT + recentEngagements.slots + 3);
  for (const event of events) recentEngagements.onEvent?.(state, AT, event, "subject");
  expect([...state.slice(0, AT), ...state.slice(-3)].every((x) => x === 0)).toBe(true);
  const list: number[][] = [];
  eachRecentEngagement(state, AT, (...entry) => list.push(entry));
  return list;
}

test("the newest engagements are kept, newest first", () => {
  const events = Array.from({ length: 40 }, (_, i) => act(1000 + i, String(i)));
  const list = listOf(events);
  expect(list.length).toBe(RECENT_ENGAGEMENTS);
  expect(list[0]).toEqual([1039, towerHash("post", "39"), towerHash("author", "939"), 1]);
  expect(list.map(([time]) => time)).toEqual(
    Array.from({ length: RECENT_ENGAGEMENTS }, (_, i) => 1039 - i),
  );
});

test("acts on one post are summed and stand at the newest time; what says nothing is left out", () => {
  const list = listOf([
    act(10, "1", { head: "click" }),
    act(30, "2"),
    act(40, "1", { head: "reply" }),
    act(20, "1"),
    act(50, "3", { head: "dwell_seconds" }),
    act(60, "4", { head: "report" }),
    act(61, "2", { head: "favorite", undo: true }),
  ]);
  expect(list.map(([time, post, , interest]) => [time, post, interest])).toEqual([
    [61, towerHash("post", "2"), 0],
    [60, towerHash("post", "4"), -3],
    [40, towerHash("post", "1"), 2.5],
  ]);
});

test("the order of arrival does not matter while all of them fit", () => {
  const draws = random(1, "recent");
  const events = Array.from({ length: 60 }, () =>
    act(1000 + draws.below(30), String(draws.below(RECENT_ENGAGEMENTS))),
  );
  const wanted = listOf(events);
  for (let round = 0; round < 20; round++) expect(listOf(shuffle(events, draws))).toEqual(wanted);
});
