import { describe, expect, test } from "vitest";
import { stickyKey, stickySession } from "./sticky-document.ts";
import { stickyStoreContract } from "./sticky-store.contract.ts";
import { memoryStickyStore } from "./sticky-store.ts";

const document = (value: string) => ({
  attributeName: "user_id",
  attributeValue: value,
  assignments: { a__0: "v" },
});

describe("the memory sticky store", () => {
  stickyStoreContract(async () => memoryStickyStore());

  test("stays within its bound, forgetting the least recently used", async () => {
    const store = memoryStickyStore(2);
    await store.merge(document("1"));
    await store.merge(document("2"));
    await store.read([stickyKey("user_id", "1")]);
    await store.merge(document("3"));
    expect(store.size()).toBe(2);
    const left = await store.read(["1", "2", "3"].map((value) => stickyKey("user_id", value)));
    expect(left.map(({ attributeValue }) => attributeValue)).toEqual(["1", "3"]);
    expect(() => memoryStickyStore(0)).toThrow(/maxDocuments is 0/);
  });
});

test("a session reports only what changed, and leaves the documents it was given alone", () => {
  const given = document("1");
  const session = stickySession([given, document("2")]);
  session.note("user_id", "1", "a__0", "v");
  expect(session.changes()).toEqual([]);
  session.note("user_id", "1", "b__0", "w");
  expect(session.changes()).toEqual([{ ...given, assignments: { a__0: "v", b__0: "w" } }]);
  expect(given.assignments).toEqual({ a__0: "v" });
  expect(session.documents().size).toBe(2);
});
