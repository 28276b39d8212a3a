import { expect, test } from "vitest";
import { type Event, EventSchema } from "../datasets/events.ts";
import { random } from "../datasets/random.ts";
import { PostLots } from "./post-lots.ts";

const HOUR = 3_600_000;
const START = Date.UTC(2026, 0, 5);

const created = (id: number, hours: number, more: object = {}): Event =>
  EventSchema.parse({
    type: "post_created",
    time_ms: START + hours * HOUR,
    post_id: String(id),
    author_id: "7",
    text: "",
    media: "none",
    topics: [],
    safety_labels: [],
    attributes: {},
    ...more,
  });
const act = (post: number, hours: number, head = "favorite", more: object = {}): Event =>
  EventSchema.parse({
    type: "engagement",
    time_ms: START + hours * HOUR,
    user_id: "1",
    post_id: String(post),
    author_id: "7",
    head,
    ...more,
  });

function lotsOf(...events: Event[]): PostLots {
  const lots = new PostLots();
  for (const event of events) lots.observe(event);
  return lots;
}

/** How often each post comes in 4,000 draws. */
function shares(draw: (draws: ReturnType<typeof random>) => { id: string } | undefined) {
  const draws = random(1, "test");
  const counts: Record<string, number> = {};
  for (let i = 0; i < 4000; i++) {
    const id = draw(draws)?.id ?? "none";
    counts[id] = (counts[id] ?? 0) + 1 / 4000;
  }
  return counts;
}

test("uniform draws come from all posts of the last two days, reposts left out", () => {
  const repost = created(4, 3, { repost_of_post_id: "2", repost_of_author_id: "7" });
  const lots = lotsOf(created(1, 0), created(2, 1), created(3, 2), repost);
  expect(lots.begin(START + 3 * HOUR)).toBe(3);
  const before = shares((draws) => lots.uniform(draws));
  expect(Object.keys(before)).toEqual(["1", "2", "3"]);
  for (const share of Object.values(before)) expect(Math.abs(share - 1 / 3)).toBeLessThan(0.03);
  expect(lots.begin(START + 49.5 * HOUR)).toBe(1);
  expect(Object.keys(shares((draws) => lots.uniform(draws)))).toEqual(["3"]);
});

test("engaged draws bring posts in proportion to the welcome acts on them", () => {
  const lots = lotsOf(
    ...[1, 2, 3, 4].map((id) => created(id, 0)),
    ...[1, 1, 1, 2].map((id) => act(id, 1)),
    act(3, 1, "not_interested"),
    act(4, 1, "favorite", { undo: true }),
    act(99, 1),
  );
  lots.begin(START + 2 * HOUR);
  const found = shares((draws) => lots.engaged(draws));
  expect(Object.keys(found)).toEqual(["1", "2"]);
  expect(Math.abs((found["1"] as number) - 0.75)).toBeLessThan(0.03);
});

test("acts of long ago give way to those of late", () => {
  const lots = lotsOf(created(1, 0), created(2, 0), act(1, 1));
  for (let i = 0; i < 20_000; i++) lots.observe(act(2, 2));
  lots.begin(START + 3 * HOUR);
  expect(Object.keys(shares((draws) => lots.engaged(draws)))).toEqual(["2"]);
});

test("where nobody acted on a post of the window, any of it comes; from an empty window none", () => {
  const lots = lotsOf(created(1, 0), act(1, 1), created(2, 47), created(3, 48));
  lots.begin(START + 49 * HOUR);
  const found = shares((draws) => lots.engaged(draws));
  expect(Object.keys(found)).toEqual(["2", "3"]);
  lots.begin(START + 200 * HOUR);
  expect(lots.engaged(random(1, "test"))).toBeUndefined();
});
