import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RootDatabase } from "lmdb";
import { afterEach, describe, expect, test } from "vitest";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import { lmdbStickyStore } from "./lmdb-sticky-store.ts";
import { stickyKey } from "./sticky-document.ts";
import { stickyStoreContract } from "./sticky-store.contract.ts";

const made: { dir: string; roots: RootDatabase[] }[] = [];
afterEach(async () => {
  for (const { dir, roots } of made.splice(0)) {
    for (const root of roots) await root.close();
    rmSync(dir, { recursive: true });
  }
});

/** An environment of its own, which can be opened again. */
function place() {
  const entry = { dir: mkdtempSync(join(tmpdir(), "roost-sticky-")), roots: [] as RootDatabase[] };
  made.push(entry);
  return () => {
    const root = openLmdb(entry.dir);
    entry.roots.push(root);
    return { root, store: lmdbStickyStore(root) };
  };
}
const document = (attributeValue: string, attributeName = "user_id") => ({
  attributeName,
  attributeValue,
  assignments: { a__0: "v" },
});

describe("the LMDB sticky store", () => {
  stickyStoreContract(async () => place()().store);
});

test("a unit keeps its arm after a restart", async () => {
  const open = place();
  const first = open();
  await first.store.merge(document("1"));
  await first.root.close();
  const { store } = open();
  await store.merge({ ...document("1"), assignments: { b__0: "w" } });
  expect(await store.read([stickyKey("user_id", "1")])).toEqual([
    { ...document("1"), assignments: { a__0: "v", b__0: "w" } },
  ]);
});

test("forgetting a unit removes its documents under every attribute, and only them", async () => {
  const { store } = place()();
  await store.merge(document("1"));
  await store.merge(document("1", "id"));
  await store.merge(document("12"));
  await store.merge(document("2", "id"));
  expect(await store.forget("1")).toBe(2);
  const keys = ["1", "12", "2"].flatMap((value) => [
    stickyKey("user_id", value),
    stickyKey("id", value),
  ]);
  expect(await store.read(keys)).toEqual([document("12"), document("2", "id")]);
  expect(await store.forget("1")).toBe(0);
});

test("values longer than a key of LMDB and lone surrogates are kept apart", async () => {
  const { store } = place()();
  const long = "x".repeat(5_000);
  const values = [long, `${long}y`, "\ud800", "\ud801"];
  for (const value of values) await store.merge(document(value));
  for (const value of values)
    expect(await store.read([stickyKey("user_id", value)])).toEqual([document(value)]);
});
