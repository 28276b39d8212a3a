import { deserialize, serialize } from "node:v8";
import { expect, test } from "vitest";
import type { Event } from "../datasets/events.ts";
import { HOUR, impression, MINUTE, NOON, served, userDeleted } from "./events.fixture.ts";
import { ViewerHistory } from "./viewer-history.ts";

const historyOf = (events: readonly Event[]): ViewerHistory => {
  const history = new ViewerHistory();
  for (const event of events) history.apply(event);
  return history;
};
const ids = (n: number, from = 0) => Array.from({ length: n }, (_, i) => `${from + i}`);

test("seen are the posts of a viewer's own impressions", () => {
  const history = historyOf([
    impression("1", "10", NOON),
    impression("2", "20", NOON),
    impression("1", "10", NOON + 1),
    impression("1", "11", NOON + 2),
  ]);
  expect([...history.seen("1")]).toEqual(["10", "11"]);
  expect([...history.seen("3")]).toEqual([]);
});

test("of seen posts the last 2,000 are remembered; seeing one again keeps it young", () => {
  const events = ids(2000).map((id, i) => impression("1", id, NOON + i));
  const history = historyOf([
    ...events,
    impression("1", "0", NOON + 3000),
    impression("1", "9000", NOON + 3001),
  ]);
  const seen = history.seen("1");
  expect(seen.size).toBe(2000);
  expect([seen.has("0"), seen.has("1"), seen.has("2"), seen.has("9000")]).toEqual([
    true,
    false,
    true,
    true,
  ]);
});

test("served posts are those since a time, the newest when there are more than asked for", () => {
  const history = historyOf([served("1", ["10", "11"], NOON), served("1", ["12"], NOON + MINUTE)]);
  expect([...history.served("1", NOON)].sort()).toEqual(["10", "11", "12"]);
  expect([...history.served("1", NOON + 1)]).toEqual(["12"]);
  expect(history.served("1", NOON, 2)).toEqual(new Set(["10", "12"]));
  expect(history.served("2", NOON).size).toBe(0);
});

test("of served posts the last 500 are remembered: of a long page its top, of several pages the latest", () => {
  const pages = historyOf([served("1", ids(300), NOON), served("1", ids(300, 1000), NOON + 1)]);
  expect(pages.served("1", NOON)).toEqual(new Set([...ids(200), ...ids(300, 1000)]));
  const page = historyOf([served("1", ids(500), NOON)]);
  expect(page.served("1", NOON, 100)).toEqual(new Set(ids(100)));
});

test("a record that arrives late does not make a post look older than it is", () => {
  const history = historyOf([
    impression("1", "10", NOON),
    impression("1", "10", NOON - 40 * HOUR),
    served("1", ["11"], NOON),
    served("1", ["11"], NOON - HOUR),
  ]);
  expect([...history.served("1", NOON)]).toEqual(["11"]);
  history.trim(NOON + 20 * HOUR);
  expect([...history.seen("1")]).toEqual(["10"]);
});

test("trimming forgets what is past retention", () => {
  const history = historyOf([
    impression("1", "10", NOON),
    impression("1", "11", NOON + HOUR),
    impression("2", "20", NOON),
    served("1", ["12"], NOON),
  ]);
  history.trim(NOON + 48 * HOUR + 1);
  expect([...history.seen("1")]).toEqual(["11"]);
  expect(history.snapshot()).toEqual({
    seen: new Map([["1", new Map([["11", NOON + HOUR]])]]),
    served: new Map(),
  });
});

test("a deleted viewer is forgotten, others are not", () => {
  const history = historyOf([
    impression("1", "10", NOON),
    served("1", ["11"], NOON),
    impression("2", "10", NOON),
    userDeleted("1"),
  ]);
  expect([history.seen("1").size, history.served("1", 0).size]).toEqual([0, 0]);
  expect([...history.seen("2")]).toEqual(["10"]);
});

test("a snapshot restores to a history that answers and goes on as the old one", () => {
  const history = historyOf([
    ...ids(1999).map((id, i) => impression("1", id, NOON + i)),
    served("1", ids(499), NOON),
    impression("2", "5", NOON),
  ]);
  const restored = new ViewerHistory();
  restored.restore(deserialize(serialize(history.snapshot())));
  for (const target of [history, restored]) {
    target.apply(impression("1", "7000", NOON + HOUR));
    target.apply(impression("1", "7001", NOON + HOUR));
    target.apply(served("1", ["7000", "7001"], NOON + 1));
  }
  expect(restored.snapshot()).toEqual(history.snapshot());
  expect(restored.seen("1").has("0")).toBe(false);
  expect(restored.served("1", NOON).size).toBe(500);
  expect(restored.served("1", NOON).has("498")).toBe(false);
});
