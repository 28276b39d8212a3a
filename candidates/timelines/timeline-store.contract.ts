import fc from "fast-check";
import { expect, test } from "vitest";
import { MemoryTimelines } from "./memory-timelines.ts";
import {
  MOST_ENTRIES,
  SERVED_ENTRIES,
  type TimelineEntry,
  type TimelineStore,
} from "./timeline-store.ts";

const NOON = Date.UTC(2025, 4, 5, 12);
const entry = (postId: string | number, timeMs = NOON): TimelineEntry => ({
  postId: String(postId),
  timeMs,
});
const many = (n: number, from = 1): TimelineEntry[] =>
  Array.from({ length: n }, (_, i) => entry(from + i, NOON + from + i));
const ids = (timeline: { readonly entries: readonly TimelineEntry[] } | undefined) =>
  timeline?.entries.map(({ postId }) => postId);

/** What every timeline store promises. `open` gives an empty store. */
export function timelineStoreContract(open: () => Promise<TimelineStore>): void {
  const built = async (entries: readonly TimelineEntry[] = [], floorMs = -1) => {
    const store = await open();
    await store.rebuild("1", { entries, floorMs, builtAtMs: NOON });
    return store;
  };
  const pushAll = (store: TimelineStore, entries: readonly TimelineEntry[], ...userIds: string[]) =>
    store.push(entries.map((one) => ({ entry: one, userIds })));

  test("a user without a timeline has none, even after pushes: a part is no timeline", async () => {
    const store = await open();
    expect(await store.read("1", { limit: 10 })).toBeUndefined();
    await pushAll(store, many(3), "1");
    expect(await store.read("1", { limit: 10 })).toBeUndefined();
    expect(await store.count("1")).toBe(3);
  });

  test("a rebuilt timeline is read newest first with what was pushed before and after it, and says when it was built", async () => {
    const store = await open();
    await pushAll(store, [entry(7, NOON + 7)], "1");
    await store.rebuild("1", { entries: many(3), floorMs: -1, builtAtMs: NOON });
    await pushAll(store, [entry(9, NOON + 9)], "1", "2");
    const timeline = await store.read("1", { limit: 10 });
    expect(timeline).toMatchObject({ floorMs: -1, builtAtMs: NOON });
    expect(ids(timeline)).toEqual(["9", "7", "3", "2", "1"]);
    expect(timeline?.entries[0]).toEqual(entry(9, NOON + 9));
    expect(await store.read("2", { limit: 10 })).toBeUndefined();
  });

  test("a post that comes late has its place by time, and one that comes twice is there once", async () => {
    const store = await built(many(3));
    await pushAll(store, [entry(50, NOON + 2.5 - 0.5), entry(50, NOON + 2)], "1");
    expect(ids(await store.read("1", { limit: 10 }))).toEqual(["3", "2", "50", "1"]);
    expect(await store.count("1")).toBe(4);
  });

  test("posts of one moment ascend by id as a number, the largest ids too, and pages go on between them", async () => {
    const tied = ["9", "10", "18446744073709551615", "9007199254740993", "100", "0"];
    const store = await built(tied.map((id) => entry(id)));
    const order = ["0", "9", "10", "100", "9007199254740993", "18446744073709551615"];
    expect(ids(await store.read("1", { limit: 10 }))).toEqual(order);
    for (let i = 0; i < order.length; i++) {
      const after = entry(order[i] as string);
      expect(ids(await store.read("1", { after, limit: 2 }))).toEqual(order.slice(i + 1, i + 3));
    }
  });

  test("a timeline is cut to 800 entries once it has more than 900, and says from where it is not complete", async () => {
    const store = await built();
    await pushAll(store, many(MOST_ENTRIES), "1");
    expect(await store.count("1")).toBe(MOST_ENTRIES);
    await pushAll(store, many(1, MOST_ENTRIES + 1), "1");
    expect(await store.count("1")).toBe(SERVED_ENTRIES);
    const timeline = await store.read("1", { limit: 2_000 });
    expect(timeline?.entries).toHaveLength(SERVED_ENTRIES);
    expect(timeline?.floorMs).toBe(NOON + 101);
  });

  test("of a timeline that is not yet cut the 800 newest entries are served", async () => {
    const store = await built();
    await pushAll(store, many(MOST_ENTRIES), "1");
    const timeline = await store.read("1", { limit: 2_000 });
    expect(timeline?.entries).toHaveLength(SERVED_ENTRIES);
    expect(timeline?.floorMs).toBe(NOON + 100);
  });

  test("entries of the floor's time or older are not served, and a rebuild sets the floor anew", async () => {
    const store = await built(many(5), NOON + 3);
    expect(ids(await store.read("1", { limit: 10 }))).toEqual(["5", "4"]);
    await store.rebuild("1", { entries: many(5), floorMs: -1, builtAtMs: NOON + 9 });
    expect(await store.read("1", { limit: 10 })).toMatchObject({
      floorMs: -1,
      builtAtMs: NOON + 9,
    });
    expect(ids(await store.read("1", { limit: 10 }))).toHaveLength(5);
  });

  test("removed posts are gone from the one timeline, and forgotten timelines as a whole", async () => {
    const store = await built(many(5));
    await store.rebuild("2", { entries: many(5), floorMs: -1, builtAtMs: NOON });
    await store.remove([
      { userId: "1", postIds: ["2", "4", "99"] },
      { userId: "3", postIds: ["1"] },
      { userId: "2", postIds: [] },
    ]);
    expect(ids(await store.read("1", { limit: 10 }))).toEqual(["5", "3", "1"]);
    expect(ids(await store.read("2", { limit: 10 }))).toHaveLength(5);
    await store.forget(["1", "3"]);
    expect(await store.read("1", { limit: 10 })).toBeUndefined();
    expect(await store.count("1")).toBe(0);
    expect(await store.bytes("1")).toBe(0);
    expect(await store.bytes("2")).toBeGreaterThan(0);
  });

  test("a position is kept by name", async () => {
    const store = await open();
    expect(await store.position("a")).toBeUndefined();
    await store.savePosition("a", { seq: 7, timeMs: NOON });
    await store.savePosition("b", { seq: 9, timeMs: 0 });
    await store.savePosition("a", { seq: 8, timeMs: NOON });
    expect(await store.position("a")).toEqual({ seq: 8, timeMs: NOON });
    expect(await store.position("b")).toEqual({ seq: 9, timeMs: 0 });
  });

  const anyEntry = fc.record({
    // Few moments, so that many tie.
    timeMs: fc.integer({ min: 0, max: 8 }).map((ms) => NOON + ms),
    postId: fc.oneof(
      fc.integer({ min: 0, max: 40 }).map(String),
      fc.bigInt({ min: 2n ** 64n - 5n, max: 2n ** 64n - 1n }).map(String),
    ),
  });
  // A post has one time.
  const timeOf = new Map<string, number>();
  const placed = (one: TimelineEntry): TimelineEntry => {
    if (!timeOf.has(one.postId)) timeOf.set(one.postId, one.timeMs);
    return { postId: one.postId, timeMs: timeOf.get(one.postId) as number };
  };
  const user = fc.constantFrom("1", "2", "18446744073709551615");
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ push: anyEntry, to: fc.uniqueArray(user) }) },
    fc.record({
      rebuild: fc.array(anyEntry, { maxLength: 5 }),
      of: user,
      floor: fc.integer({ min: -1, max: 8 }),
    }),
    fc.record({ remove: fc.array(anyEntry, { maxLength: 4 }), of: user }),
    fc.record({ forget: user }),
  );

  test("whatever is pushed, rebuilt, removed and forgotten, it reads as the one in memory does, page by page", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.integer({ min: 1, max: 5 }),
        async (steps, limit) => {
          const oracle = new MemoryTimelines();
          const store = await open();
          for (const one of steps)
            for (const target of [oracle, store]) {
              if ("push" in one) await target.push([{ entry: placed(one.push), userIds: one.to }]);
              else if ("rebuild" in one)
                await target.rebuild(one.of, {
                  entries: one.rebuild.map(placed),
                  floorMs: one.floor < 0 ? -1 : NOON + one.floor,
                  builtAtMs: NOON,
                });
              else if ("remove" in one)
                await target.remove([
                  { userId: one.of, postIds: one.remove.map(({ postId }) => postId) },
                ]);
              else await target.forget([one.forget]);
            }
          for (const userId of ["1", "2", "18446744073709551615"]) {
            expect(await store.count(userId)).toBe(await oracle.count(userId));
            let after: TimelineEntry | undefined;
            for (;;) {
              const page = await store.read(userId, { after, limit });
              expect(page).toEqual(await oracle.read(userId, { after, limit }));
              after = page?.entries.at(-1);
              if (after === undefined) break;
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });
}
