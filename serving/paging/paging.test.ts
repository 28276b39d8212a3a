import fc from "fast-check";
import { expect, test } from "vitest";
import { pager } from "./pager.ts";
import { RankingStore, type StoredRanking } from "./ranking-store.ts";
import { takePage } from "./take-page.ts";

type Ranking = StoredRanking<string> & { readonly userId?: string };
const ids = (n: number): string[] => Array.from({ length: n }, (_, i) => `p${i}`);
const owner = { userId: "7", product: "for_you" };
const all = () => true;
const make = (ttlMs = 1_000, capacity = 10) => {
  const store = new RankingStore<Ranking>({ ttlMs, capacity });
  return { store, paging: pager(store, "s".repeat(32)) };
};

test("walking the pages gives every post that passes exactly once, in order, with its rank", () => {
  fc.assert(
    fc.property(
      fc.nat(120),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 130, maxLength: 130 }),
      fc.nat(30),
      fc.array(fc.boolean(), { minLength: 130, maxLength: 130 }),
      (n, limits, served, passes) => {
        const keep = (id: string) => passes[Number(id.slice(1))] === true;
        const { paging } = make();
        const items = ids(n);
        let cursor = served < n ? paging.begin("r", { items }, served, owner, 0) : null;
        const walked: string[] = [];
        for (let turn = 0; cursor !== null; turn++) {
          const limit = limits[turn] as number;
          const answer = paging.next({ ...owner, cursor, limit, keep, nowMs: 1 });
          if (answer.expired) throw new Error("expired");
          for (const { item, rank } of answer.page.items) {
            expect(item).toBe(`p${rank - 1}`);
            walked.push(item);
          }
          // Only the page after the unfiltered first one can turn out empty.
          if (turn > 0) expect(answer.page.items.length).toBeGreaterThan(0);
          if (answer.cursor !== null) expect(answer.page.items).toHaveLength(limit);
          cursor = answer.cursor;
        }
        expect(walked).toEqual(items.slice(served).filter(keep));
      },
    ),
    { seed: 11 },
  );
});

test("the same cursor gives the same page and the same next cursor, however often and in whatever order", () => {
  const { paging } = make();
  const cursor = paging.begin("r", { items: ids(60) }, 20, owner, 0);
  const ask = (nowMs: number) => paging.next({ ...owner, cursor, limit: 20, keep: all, nowMs });
  const first = ask(1);
  if (first.expired || first.cursor === null) throw new Error("no page");
  paging.next({ ...owner, cursor: first.cursor, limit: 20, keep: all, nowMs: 2 });
  expect(ask(999)).toEqual(first);
  expect(first.page.items.map(({ rank }) => rank)).toEqual(
    Array.from({ length: 20 }, (_, i) => i + 21),
  );
});

test("what is dropped since the first page is refilled from behind and named, and ranks do not shift", () => {
  const page = takePage(ids(10), 4, 3, (id) => id !== "p5");
  expect(page.items).toEqual([
    { item: "p4", rank: 5 },
    { item: "p6", rank: 7 },
    { item: "p7", rank: 8 },
  ]);
  expect(page.dropped).toEqual([{ item: "p5", rank: 6 }]);
  expect(page.nextOffset).toBe(8);
  expect(takePage(ids(10), 4, 3, (id) => id < "p7").nextOffset).toBeUndefined();
});

test("a ranking's items are not asked for before its second page is", () => {
  const { paging } = make();
  const made: number[] = [];
  const ranking = {
    get items() {
      made.push(1);
      return ids(60);
    },
  };
  const cursor = paging.begin("r", ranking, 20, owner, 0);
  expect(made).toHaveLength(0);
  const answer = paging.next({ ...owner, cursor, limit: 20, keep: all, nowMs: 1 });
  expect(answer).toMatchObject({ page: { items: { length: 20 } } });
});

test("a ranking expires its time to live after its making, however often it is read, and that is signalled", () => {
  const { store, paging } = make(1_000);
  const cursor = paging.begin("r", { items: ids(60) }, 20, owner, 5_000);
  const ask = (nowMs: number) => paging.next({ ...owner, cursor, limit: 20, keep: all, nowMs });
  expect(ask(5_999).expired).toBe(false);
  expect(ask(6_000)).toEqual({ expired: true, rankingId: "r", offset: 20 });
  expect(store.size).toBe(0);
});

test("beyond the capacity the least recently read ranking goes", () => {
  const { store } = make(1_000, 3);
  for (const id of ["a", "b", "c"]) store.put(id, { items: [id] }, 0);
  store.get("a", 1);
  store.put("d", { items: ["d"] }, 2);
  expect(["a", "b", "c", "d"].map((id) => store.get(id, 3)?.items[0])).toEqual([
    "a",
    undefined,
    "c",
    "d",
  ]);
  for (let i = 0; i < 1_000; i++) store.put(`r${i}`, { items: [] }, 4);
  expect(store.size).toBe(3);
});

test("a dear ranking takes the place of several, and gives it back when it goes", () => {
  const { store } = make(1_000, 10);
  for (let i = 0; i < 10; i++) store.put(`r${i}`, { items: [] }, 0);
  store.put("dear", { items: [], cost: 7 }, 0);
  expect(store.size).toBe(4);
  expect(store.get("r6", 1)).toBeUndefined();
  expect(store.get("r7", 1)).toBeDefined();
  store.put("dearer", { items: [], cost: 50 }, 1);
  expect(store.size).toBe(1);
  store.forget(() => true);
  for (let i = 0; i < 12; i++) store.put(`s${i}`, { items: [] }, 2);
  expect(store.size).toBe(10);
  expect(store.get("s3", 5_000)).toBeUndefined();
  store.sweep(5_000);
  for (let i = 0; i < 12; i++) store.put(`t${i}`, { items: [] }, 5_000);
  expect(store.size).toBe(10);
});

test("an id that is in use is refused", () => {
  const { store } = make();
  store.put("r", { items: ids(500) }, 0);
  expect(() => store.put("r", { items: [] }, 1)).toThrow(RangeError);
  store.put("r", { items: [] }, 1_000);
});

test("expired rankings are swept, and a deleted user's are forgotten at once", () => {
  const { store } = make(1_000, 100);
  for (let i = 0; i < 10; i++) store.put(`r${i}`, { items: [], userId: String(i % 2) }, i * 200);
  store.sweep(1_500);
  expect(store.size).toBe(7);
  store.forget(({ userId }) => userId === "1");
  expect(store.size).toBe(3);
});
