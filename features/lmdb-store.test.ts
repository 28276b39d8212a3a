import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { random } from "../datasets/random.ts";
import { LmdbFeatureStore } from "./lmdb-store.ts";
import { MemoryFeatureStore } from "./memory-store.ts";
import { LAYOUT_HASH, SLOTS } from "./registry.ts";
import { storeContract } from "./store.contract.ts";

let dir: string;
let root: RootDatabase;
const openRoot = () => open({ path: dir, maxDbs: 32 });
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "roost-features-"));
  root = openRoot();
});
afterEach(async () => {
  await root.close();
  await rm(dir, { recursive: true, force: true });
});
const reopened = async (): Promise<LmdbFeatureStore> => {
  await root.close();
  root = openRoot();
  return LmdbFeatureStore.open(root);
};

describe("the LMDB store", () => storeContract(() => LmdbFeatureStore.open(root)));
// With room for two vectors nearly every read goes to LMDB itself.
describe("the LMDB store with a cache of two vectors", () =>
  storeContract(() => LmdbFeatureStore.open(root, 2)));

test("vectors and position are there after closing and opening again", async () => {
  const store = await LmdbFeatureStore.open(root);
  await store.transaction(41, (state) => {
    state.edit("user", "1").fill(0.1);
    state.edit("token", "").fill(Number.NaN);
  });
  await store.transaction(42, (state) => state.delete("user", "absent"));
  await store.close();
  const again = await reopened();
  expect(again.position).toBe(42);
  expect(again.get("user", "1")).toEqual(new Float64Array(SLOTS.user).fill(0.1));
  expect(again.get("token", "")).toEqual(new Float64Array(SLOTS.token).fill(Number.NaN));
  expect(again.get("user", "absent")).toBeUndefined();
});

test("what the vectors take is told by entity, in whole pages", async () => {
  const store = await LmdbFeatureStore.open(root);
  const entries = Array.from({ length: 500 }, (_, i) => String(i));
  await store.transaction(1, (state) => {
    for (const key of entries) state.edit("post", key).fill(1);
    state.edit("user", "1").fill(1);
  });
  const { post, user, topic } = store.usage();
  expect([post.entities, user.entities, topic.entities]).toEqual([500, 1, 0]);
  expect(post.bytes).toBeGreaterThan(500 * 8 * SLOTS.post);
  expect(post.bytes).toBeLessThan(3 * 500 * 8 * SLOTS.post);
  expect(topic.bytes).toBe(0);
});

test("closing waits for the transactions that still run", async () => {
  const store = await LmdbFeatureStore.open(root);
  void store.transaction(1, (state) => state.edit("user", "1").fill(1));
  void store.transaction(2, (state) => state.edit("user", "2").fill(2));
  await store.close();
  expect((await reopened()).position).toBe(2);
});

test("state of another layout is dropped when the store is opened, that of this one is kept", async () => {
  const store = await LmdbFeatureStore.open(root);
  await store.transaction(5, (state) => state.edit("user", "1").fill(1));
  expect((await reopened()).get("user", "1")).toBeDefined();
  const meta = root.openDB<string | number, string>({ name: "features/meta" });
  expect(meta.get("layout")).toBe(LAYOUT_HASH);
  await meta.put("layout", "0123456789abcdef");
  const fresh = await reopened();
  expect(fresh.position).toBe(0);
  expect(fresh.get("user", "1")).toBeUndefined();
  await fresh.transaction(1, (state) => expect([...state.keys("user")]).toEqual([]));
  expect((await reopened()).position).toBe(1);
});

test("a transaction that LMDB refuses leaves vectors and position as they were", async () => {
  const store = await LmdbFeatureStore.open(root);
  await store.transaction(1, (state) => state.edit("user", "1").fill(1));
  const refused = store.transaction(2, (state) => {
    state.edit("user", "1").fill(2);
    state.edit("user", "x".repeat(4000)).fill(2);
    state.edit("user", "2").fill(2);
  });
  await expect(refused).rejects.toThrow("key size");
  for (const view of [store, await reopened()]) {
    expect(view.position).toBe(1);
    expect(view.get("user", "1")?.[0]).toBe(1);
    expect(view.get("user", "2")).toBeUndefined();
  }
});

test("a random run of edits and deletes leaves the same as in the memory store, also behind a small cache", async () => {
  const rnd = random(11, "twin");
  const twin = new MemoryFeatureStore();
  let store = await LmdbFeatureStore.open(root, 16);
  const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
  for (let round = 1; round <= 120; round++) {
    const steps = Array.from({ length: 8 }, () => ({
      key: keys[rnd.below(keys.length)] as string,
      kind: rnd.next(),
      value: rnd.next(),
    }));
    for (const target of [twin, store])
      await target.transaction(round, (state) => {
        for (const { key, kind, value } of steps)
          if (kind < 0.2) state.delete("user_media", key);
          else {
            const vector = state.edit("user_media", key);
            vector[1] = (vector[1] as number) * 0.5 + value;
          }
      });
    if (round % 40 === 0) store = await reopened();
    for (let i = 0; i < 10; i++) {
      const key = keys[rnd.below(keys.length)] as string;
      expect(store.get("user_media", key)).toEqual(twin.get("user_media", key));
    }
  }
  for (const key of keys) expect(store.get("user_media", key)).toEqual(twin.get("user_media", key));
});

test("a cell keeps up with the store as long as the store says so, and is looked up again after that", async () => {
  const store = await LmdbFeatureStore.open(root, 8);
  const put = (position: number, key: string, value: number) =>
    store.transaction(position, (state) => state.edit("post", key).fill(value));
  await put(1, "1", 1);
  const first = store.cell("post", "1");
  expect(first.vector?.[0]).toBe(1);
  const nothing = store.cell("post", "2");
  expect(nothing.vector).toBeUndefined();
  let changed: () => void = () => {};
  const underway = new Promise<void>((resolve) => {
    changed = resolve;
  });
  const commit = store.transaction(2, (state) => {
    state.edit("post", "1").fill(2);
    changed();
  });
  await underway;
  // What is being committed is not seen before it is whole, whoever asks.
  expect(store.position).toBe(1);
  expect(store.cell("post", "1", first).vector?.[0]).toBe(1);
  expect(store.cell("post", "1").vector?.[0]).toBe(1);
  await commit;
  await put(3, "2", 3);
  expect(store.cell("post", "1", first)).toBe(first);
  expect(first.vector?.[0]).toBe(2);
  expect(store.cell("post", "2", nothing)).toBe(nothing);
  expect(nothing.vector?.[0]).toBe(3);
  await store.transaction(4, (state) => state.delete("post", "2"));
  expect(store.cell("post", "2", nothing).vector).toBeUndefined();
  // Two generations later the store has forgotten the cell, and does not tell it of what it commits.
  for (let i = 10; i < 20; i++) store.get("post", String(i));
  await put(5, "1", 5);
  expect(first.vector?.[0]).toBe(2);
  const second = store.cell("post", "1", first);
  expect(second).not.toBe(first);
  expect(second.vector?.[0]).toBe(5);
  // A cell of another store is nothing to this one.
  const other = await reopened();
  expect(other.cell("post", "1", second)).not.toBe(second);
  expect(other.cell("post", "1", second).vector?.[0]).toBe(5);
});

test("a process that is killed at any moment leaves vectors and position of one and the same transaction", async () => {
  const script = join(import.meta.dirname, "lmdb-store.crash.ts");
  let last = 0;
  for (const afterMs of [40, 120, 200]) {
    const child = spawn(process.execPath, ["--import", "tsx", script, dir], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const reported = await killedAfter(child, afterMs);
    const store = await reopened();
    // Everything that was reported as flushed is there; what came after it may be too.
    expect(store.position).toBeGreaterThanOrEqual(reported);
    expect(store.position).toBeGreaterThan(last);
    for (let i = 0; i < 50; i++)
      expect(store.get("user_surface", `k${i}`)?.[0], `k${i}`).toBe(store.position);
    last = store.position;
    await root.close();
    root = openRoot();
  }
});

/** Kills the child some time after its first report and gives the last number it reported. */
function killedAfter(child: ChildProcess, afterMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let reported = "";
    child.stdout?.on("data", (chunk) => {
      if (reported === "") setTimeout(() => child.kill("SIGKILL"), afterMs);
      reported += chunk;
    });
    child.on("error", reject);
    child.on("close", () => resolve(Number(reported.trimEnd().split("\n").at(-1))));
  });
}
