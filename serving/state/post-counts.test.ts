import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import type { LoggedEvent } from "../../datasets/events.ts";
import { EventSchema } from "../../datasets/events.ts";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import { COUNTED_HEADS, PostCounts } from "./post-counts.ts";

const base = mkdtempSync(join(tmpdir(), "roost-counts-"));
afterAll(() => rmSync(base, { recursive: true }));
let made = 0;
const open = () => {
  const root = openLmdb(join(base, String(made++)));
  return { counts: new PostCounts(root), close: () => root.close() };
};

const event = (seq: number, fields: object): LoggedEvent => ({
  ...EventSchema.parse({ time_ms: 0, ...fields }),
  seq,
});
const favorite = (seq: number, user_id: string, post_id: string, fields: object = {}) =>
  event(seq, { type: "engagement", head: "favorite", user_id, post_id, ...fields });

test("a user counts once a post and head, and not when it is taken back", async () => {
  const { counts, close } = open();
  await counts.apply(
    [
      favorite(1, "1", "9"),
      favorite(2, "2", "9"),
      favorite(3, "1", "9"),
      event(4, { type: "engagement", head: "reply", user_id: "1", post_id: "9" }),
      event(5, { type: "engagement", head: "click", user_id: "1", post_id: "9" }),
      favorite(6, "2", "9", { undo: true }),
    ],
    6,
  );
  expect(counts.of("9")).toEqual({ favorite: 1, reply: 1, repost: 0, quote: 0, share: 0 });
  expect(counts.of("8")).toEqual({ favorite: 0, reply: 0, repost: 0, quote: 0, share: 0 });
  expect(counts.position).toBe(6);
  await close();
});

test("a deleted post counts nothing, whatever comes late; a deleted user's statements are taken out", async () => {
  const { counts, close } = open();
  await counts.apply([favorite(1, "1", "9"), favorite(2, "1", "8"), favorite(3, "2", "8")], 3);
  await counts.apply(
    [
      event(4, { type: "post_deleted", post_id: "9" }),
      favorite(5, "3", "9"),
      event(6, { type: "user_deleted", user_id: "1", time_ms: 10 }),
      favorite(7, "4", "8"),
      // Late: from before the deletion. And from a new account.
      favorite(8, "1", "8", { time_ms: 9 }),
      favorite(9, "1", "7", { time_ms: 11 }),
    ],
    9,
  );
  expect(counts.of("7").favorite).toBe(1);
  expect([counts.of("9").favorite, counts.of("8").favorite]).toEqual([0, 2]);
  await close();
});

test("records are applied once, also when they come again, and a new process goes on", async () => {
  const dir = join(base, "again");
  const first = openLmdb(dir);
  await new PostCounts(first).apply([favorite(1, "1", "9"), favorite(2, "2", "9")], 2);
  await first.close();
  const second = openLmdb(dir);
  const counts = new PostCounts(second);
  await counts.apply([favorite(1, "1", "9"), favorite(2, "2", "9"), favorite(3, "3", "9")], 3);
  expect([counts.position, counts.of("9").favorite]).toEqual([3, 3]);
  await second.close();
});

test("counts do not depend on the order of arrival, nor on how the log is cut into batches", async () => {
  const statement = fc.record({
    user: fc.constantFrom("1", "2", "3"),
    post: fc.constantFrom("8", "9"),
    head: fc.constantFrom("favorite", "repost"),
    undo: fc.boolean(),
  });
  const told = fc.array(statement, { minLength: 1, maxLength: 25 }).chain((statements) =>
    fc.record({
      statements: fc.constant(statements),
      order: fc.shuffledSubarray([...statements.keys()], { minLength: statements.length }),
      cut: fc.nat(statements.length),
    }),
  );
  await fc.assert(
    fc.asyncProperty(told, async ({ statements, order, cut }) => {
      // The truth by brute force: the last statement of each user, post and head.
      const last = new Map<string, boolean>();
      for (const { user, post, head, undo } of statements)
        last.set(`${post} ${head} ${user}`, undo);
      const late = order.map((i, at) => {
        const { user, post, head, undo } = statements[i] as (typeof statements)[number];
        return favorite(at + 1, user, post, { head, undo, time_ms: i });
      });
      const { counts, close } = open();
      await counts.apply(late.slice(0, cut), cut);
      await counts.apply(late.slice(cut), late.length);
      for (const post of ["8", "9"])
        for (const head of COUNTED_HEADS) {
          const wanted = [...last].filter(
            ([key, undo]) => !undo && key.startsWith(`${post} ${head} `),
          );
          expect(counts.of(post)[head], `${head} of ${post}`).toBe(wanted.length);
        }
      await close();
    }),
    { numRuns: 40 },
  );
});
