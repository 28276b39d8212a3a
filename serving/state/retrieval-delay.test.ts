import { expect, test } from "vitest";
import { EventSchema } from "../../datasets/events.ts";
import { RetrievalDelay } from "./retrieval-delay.ts";

const post = (post_id: string, more: object = {}) =>
  EventSchema.parse({ type: "post_created", time_ms: 1, post_id, author_id: "1", ...more });
const deletion = (post_id: string) =>
  EventSchema.parse({ type: "post_deleted", time_ms: 1, post_id, author_id: "1" });

function timed() {
  const seen: [string, number][] = [];
  const clock = { ms: 0 };
  const delay = new RetrievalDelay(
    (step, seconds) => seen.push([step, seconds]),
    () => clock.ms,
  );
  return { seen, clock, delay };
}

test("a post is timed once, from its first arrival to when it is found", () => {
  const { seen, clock, delay } = timed();
  delay.arrived([post("7")]);
  clock.ms = 100;
  delay.arrived([post("7")]);
  clock.ms = 250;
  delay.found(["7", "8"]);
  delay.found(["7"]);
  expect(seen).toEqual([["retrievable", 0.25]]);
});

test("a deleted post is timed until it is forgotten, and no more for being found", () => {
  const { seen, clock, delay } = timed();
  delay.arrived([post("7")]);
  delay.arrived([deletion("7")]);
  clock.ms = 40;
  delay.forgotten(["7"]);
  delay.found(["7"]);
  expect(seen).toEqual([["gone", 0.04]]);
});

test("reposts are not timed", () => {
  const { seen, delay } = timed();
  delay.arrived([post("7", { repost_of_post_id: "3" })]);
  delay.found(["7"]);
  expect(seen).toEqual([]);
});
