import fc from "fast-check";
import { expect, test } from "vitest";
import {
  DEFERRED_LINE,
  type Delivery,
  DeliveryQueue,
  lineOf,
  type Slice,
} from "./delivery-queue.ts";

const delivery = (postId: number, ...userIds: string[]): Delivery => ({
  kind: "push",
  entry: { postId: `${postId}`, timeMs: 0 },
  authorId: "1",
  userIds,
  seq: postId,
});
const taken = (slices: readonly Slice[]): string[] =>
  slices.flatMap(({ delivery: { entry, userIds }, from, to }) =>
    userIds.slice(from, to).map((userId) => `${entry.postId}→${userId}`),
  );

test("readers who were here lately come first, within a line who came first", () => {
  const queue = new DeliveryQueue();
  queue.add(lineOf(80_000_000), delivery(1, "d"));
  queue.add(lineOf(0), delivery(2, "a", "b"));
  queue.add(lineOf(60_000), delivery(3, "c"));
  expect(queue.size).toBe(4);
  expect(taken(queue.take(2, 0))).toEqual(["2→a", "2→b"]);
  expect(taken(queue.take(9, 0))).toEqual(["3→c", "1→d"]);
  expect(queue.size).toBe(0);
});

test("what can wait gets no more than its share, and its share even when there is much else", () => {
  const queue = new DeliveryQueue();
  queue.add(DEFERRED_LINE, delivery(1, "x", "y", "z"));
  queue.add(0, delivery(2, "a", "b", "c"));
  expect(taken(queue.take(3, 1))).toEqual(["2→a", "2→b", "1→x"]);
  expect(taken(queue.take(3, 1))).toEqual(["2→c", "1→y"]);
  expect(queue.deferred).toBe(1);
  expect(taken(queue.take(3, 0))).toEqual([]);
});

test("whatever is added and taken, every timeline is given once and the size is what is left", () => {
  const step = fc.record({
    line: fc.nat({ max: DEFERRED_LINE }),
    users: fc.nat({ max: 5 }),
    take: fc.nat({ max: 6 }),
    share: fc.nat({ max: 3 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const queue = new DeliveryQueue();
      const all: string[] = [];
      const got: string[] = [];
      steps.forEach(({ line, users, take, share }, i) => {
        const one = delivery(i, ...Array.from({ length: users }, (_, user) => `${user}`));
        queue.add(line, one);
        all.push(...taken([{ delivery: one, from: 0, to: users }]));
        const now = taken(queue.take(take, Math.min(share, take)));
        expect(now.length).toBeLessThanOrEqual(take);
        got.push(...now);
        expect(queue.size).toBe(all.length - got.length);
      });
      got.push(...taken(queue.take(1_000, 1_000)));
      expect(got.sort()).toEqual(all.sort());
    }),
  );
});
