import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LiveConfig, type Snapshot } from "./live-config.ts";
import { scales } from "./scales.fixture.ts";
import { VersionStore } from "./version-store.ts";
import { type FileWatch, watchFile } from "./watch-file.ts";

let directory = "";
let path = "";
let store: VersionStore;
let live: LiveConfig<Readonly<Record<string, number>>>;
let watches: FileWatch[] = [];
const refusals: string[] = [];
const loads: string[] = [];

function start(): void {
  store = new VersionStore(join(directory, "versions"), [scales]);
  live = new LiveConfig(store, scales, "main", {
    refused: (error) => refusals.push(error.message),
    loaded: (snapshot, from, by) =>
      loads.push(`${from?.slice(0, 4)} → ${snapshot.checksum.slice(0, 4)} by ${by}`),
  });
}
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "roost-live-"));
  path = join(directory, "scales.yaml");
  refusals.length = 0;
  loads.length = 0;
  start();
});
afterEach(async () => {
  for (const watch of watches) await watch.close();
  watches = [];
  await store.close();
  rmSync(directory, { recursive: true });
});

const watching = async (): Promise<void> => {
  const watch = watchFile(
    path,
    (text) => live.offerFile(text, "scales.yaml", 7),
    (error) => refusals.push(error.message),
  );
  watches.push(watch);
  await watch.check();
};
const inForce = (value: number) =>
  expect.poll(() => live.current().value.a, { timeout: 10_000 }).toBe(value);

test("before a first version there is none to read, and that is said", () => {
  expect(() => live.current()).toThrow(expect.objectContaining({ code: "NOT_READY" }));
});

test("an edit in place is loaded, and the audit says from where to where and by whom", async () => {
  writeFileSync(path, "a: 1");
  await watching();
  const first = live.current();
  writeFileSync(path, "a: 2");
  await inForce(2);
  expect(first.value).toEqual({ a: 1 });
  expect(store.audit("scales", "main")).toMatchObject([
    { from: null, to: first.checksum, by: "file:scales.yaml", at_ms: 7 },
    { from: first.checksum, to: live.current().checksum, by: "file:scales.yaml" },
  ]);
});

test("editors that replace by rename, that delete first and that append are all followed", async () => {
  writeFileSync(path, "a: 1");
  await watching();
  for (let value = 2; value < 5; value++) {
    writeFileSync(`${path}.swp`, `a: ${value}`);
    renameSync(`${path}.swp`, path);
    await inForce(value);
  }
  unlinkSync(path);
  writeFileSync(path, "a: 6");
  await inForce(6);
  appendFileSync(path, "\na: 7");
  await inForce(7);
  expect(refusals).toEqual([]);
});

test("an invalid edit is refused with every problem and the old version stays; the next valid one is loaded", async () => {
  writeFileSync(path, "a: 1");
  await watching();
  const before = live.current();
  writeFileSync(path, "a: one\nb: 2\nc: three");
  await expect.poll(() => refusals.length, { timeout: 10_000 }).toBeGreaterThan(0);
  expect(refusals[0]).toContain("scales.yaml: a: one\nscales.yaml: c: three");
  expect(live.current()).toBe(before);
  expect(store.audit("scales", "main")).toHaveLength(1);
  writeFileSync(path, "a: 3");
  await inForce(3);
});

test("a directory that is replaced whole is followed, again and again", async () => {
  const home = join(directory, "home");
  path = join(home, "scales.yaml");
  mkdirSync(home);
  writeFileSync(path, "a: 1");
  await watching();
  for (const [value, keepsOld] of [
    [2, false],
    [3, true],
    [4, false],
  ] as const) {
    const next = join(directory, `next-${value}`);
    mkdirSync(next);
    writeFileSync(join(next, "scales.yaml"), `a: ${value}`);
    renameSync(home, join(directory, `old-${value}`));
    renameSync(next, home);
    if (!keepsOld) rmSync(join(directory, `old-${value}`), { recursive: true });
    await inForce(value);
  }
  expect(refusals).toEqual([]);
});

test("a file that disappears or cannot be read changes nothing", async () => {
  writeFileSync(path, "a: 1");
  await watching();
  unlinkSync(path);
  await watches[0]?.check();
  expect(live.current().value).toEqual({ a: 1 });
});

test("a restart keeps the pointer, also against an unchanged file; a file edited meanwhile is taken", async () => {
  writeFileSync(path, "a: 1");
  await watching();
  const moved = await live.offer("a: 50", "text", "api:ann", 8);
  for (const watch of watches.splice(0)) await watch.close();
  await store.close();

  loads.length = 0;
  start();
  expect(loads).toEqual([`undefined → ${moved.checksum.slice(0, 4)} by api:ann`]);
  expect(live.current()).toMatchObject({ checksum: moved.checksum, revision: 2, value: { a: 50 } });
  await watching();
  expect(live.current().checksum).toBe(moved.checksum);
  for (const watch of watches.splice(0)) await watch.close();
  await store.close();

  writeFileSync(path, "a: 2");
  start();
  await watching();
  expect(live.current()).toMatchObject({ revision: 3, value: { a: 2 } });
});

test("an offer from a version that is no longer in force is a conflict and changes nothing", async () => {
  const first = await live.offer("a: 1", "text", "ann", 1);
  const second = await live.offer("a: 2", "text", "ann", 2, first.checksum);
  await expect(live.offer("a: 3", "text", "bob", 3, first.checksum)).rejects.toMatchObject({
    code: "VERSION_CONFLICT",
  });
  expect(live.current()).toBe(second);
});

test("offering what is in force already moves nothing", async () => {
  const first = await live.offer("a: 1", "text", "ann", 1);
  expect(await live.offer("a: 1", "text", "ann", 2)).toBe(first);
  expect(store.audit("scales", "main")).toHaveLength(1);
});

test("a move made by another process is followed at the next refresh", async () => {
  const first = await live.offer("a: 1", "text", "ann", 1);
  const script = `
    import { scales } from ${JSON.stringify(new URL("./scales.fixture.ts", import.meta.url).href)};
    import { VersionStore } from ${JSON.stringify(new URL("./version-store.ts", import.meta.url).href)};
    const store = new VersionStore(${JSON.stringify(join(directory, "versions"))}, [scales]);
    const to = await store.put("scales", "a: 9", "text", 2);
    await store.move({ kind: "scales", name: "main", from: ${JSON.stringify(first.checksum)}, to, by: "cli", nowMs: 2 });
    await store.close();`;
  const child = spawnSync(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "-e", script],
    { encoding: "utf8" },
  );
  expect(child.stderr).not.toMatch(/Error/);
  expect(live.current()).toBe(first);
  expect((await live.refresh()).value).toEqual({ a: 9 });
  expect(store.audit("scales", "main").at(-1)).toMatchObject({ by: "cli", from: first.checksum });
});

test("a move through the store, as the API makes it, is followed without being asked", async () => {
  const first = await live.offer("a: 1", "text", "ann", 1);
  const to = await store.put("scales", "a: 4", "text", 2);
  await store.move({
    kind: "scales",
    name: "main",
    from: first.checksum,
    to,
    by: "api:bob",
    nowMs: 2,
  });
  await inForce(4);
  expect(loads.at(-1)).toMatch(/ by api:bob$/);
  expect(loads).toHaveLength(2);
});

test("readers under 100 reloads always hold a whole version, keep it to their end, and none is lost", async () => {
  await live.offer("a: 0\nb: 0", "text", "ann", 1);
  let reloading = true;
  let reads = 0;
  const seen = new Set<number>();
  const reader = async (): Promise<void> => {
    while (reloading) {
      const held: Snapshot<Readonly<Record<string, number>>> = live.current();
      const { a, b } = held.value;
      await new Promise((resolve) => setImmediate(resolve));
      expect(held.value).toEqual({ a, b });
      expect(a).toBe(b);
      expect(store.resolve(held.checksum)?.text).toBe(`a: ${a}\nb: ${b}`);
      seen.add(a as number);
      reads++;
    }
  };
  const readers = Array.from({ length: 20 }, reader);
  for (let i = 1; i <= 100; i++) await live.offer(`a: ${i}\nb: ${i}`, "text", "ann", i);
  reloading = false;
  await Promise.all(readers);
  expect(reads).toBeGreaterThan(1_000);
  expect(seen.size).toBeGreaterThan(10);
  expect(live.current()).toMatchObject({ revision: 101, value: { a: 100 } });
  expect(loads).toHaveLength(101);
});

test("offers made at once are all put in force, one after the other", async () => {
  await Promise.all([1, 2, 3, 4, 5].map((i) => live.offer(`a: ${i}`, "text", "ann", i)));
  expect(store.audit("scales", "main").map(({ revision }) => revision)).toEqual([1, 2, 3, 4, 5]);
  expect(live.current().value).toEqual({ a: 5 });
});
