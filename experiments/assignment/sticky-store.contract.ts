import { expect, test } from "vitest";
import { stickyKey } from "./sticky-document.ts";
import type { StickyStore } from "./sticky-store.ts";

/** What every sticky store must do; `open` gives an empty one. */
export function stickyStoreContract(open: () => Promise<StickyStore>): void {
  const document = (value: string, assignments: Record<string, string>) => ({
    attributeName: "user_id",
    attributeValue: value,
    assignments,
  });

  test("reads what was merged, and only the keys asked for", async () => {
    const store = await open();
    await store.merge(document("1", { a__0: "control" }));
    await store.merge(document("2", { a__0: "treatment" }));
    expect(await store.read([stickyKey("user_id", "2"), stickyKey("user_id", "3")])).toEqual([
      document("2", { a__0: "treatment" }),
    ]);
    expect(await store.read([])).toEqual([]);
  });

  test("merging keeps other assignments and replaces the same one", async () => {
    const store = await open();
    await store.merge(document("1", { a__0: "control", b__0: "x" }));
    await store.merge(document("1", { a__0: "treatment", c__1: "y" }));
    expect(await store.read([stickyKey("user_id", "1")])).toEqual([
      document("1", { a__0: "treatment", b__0: "x", c__1: "y" }),
    ]);
  });

  test("concurrent merges into one document lose nothing", async () => {
    const store = await open();
    const keys = Array.from({ length: 50 }, (_, i) => `e${i}__0`);
    await Promise.all(keys.map((key) => store.merge(document("1", { [key]: "v" }))));
    const [stored] = await store.read([stickyKey("user_id", "1")]);
    expect(Object.keys(stored?.assignments ?? {}).sort()).toEqual(keys.sort());
  });

  test("the attribute is part of the key, and any text is a value", async () => {
    const store = await open();
    await store.merge(document("é||用户", { a__0: "v" }));
    await store.merge({ ...document("é||用户", { a__0: "w" }), attributeName: "device" });
    const [stored] = await store.read([stickyKey("user_id", "é||用户")]);
    expect(stored).toEqual(document("é||用户", { a__0: "v" }));
  });
}
