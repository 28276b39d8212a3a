import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openLmdb } from "./lmdb.ts";
import { lmdbFileProblem } from "./lmdb-file.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "roost-lmdb-file-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A store of `values` values of 300 bytes, closed. */
async function filled(values: number): Promise<string> {
  const root = openLmdb(dir);
  const db = root.openDB<Buffer, string>({ name: "a", encoding: "binary" });
  for (let i = 0; i < values; i++) await db.put(`k${i}`, Buffer.alloc(300, i));
  await root.close();
  return join(dir, "data.mdb");
}

test("a file that LMDB wrote is fine after any number of commits, as is an empty or absent one", async () => {
  expect(lmdbFileProblem(join(dir, "none.mdb"))).toBeUndefined();
  writeFileSync(join(dir, "empty.mdb"), "");
  expect(lmdbFileProblem(join(dir, "empty.mdb"))).toBeUndefined();
  for (const values of [0, 1, 2, 3, 50, 200])
    expect(lmdbFileProblem(await filled(values)), `${values} values`).toBeUndefined();
});

test("an empty file is begun by a writer and refused to a reader, whom it would end", async () => {
  writeFileSync(join(dir, "data.mdb"), "");
  expect(() => openLmdb(dir, { readOnly: true })).toThrow(/data.mdb is empty/);
  await openLmdb(dir).close();
  await openLmdb(dir, { readOnly: true }).close();
});

test("a file of something else is refused, not mapped", async () => {
  const file = join(dir, "data.mdb");
  writeFileSync(file, Buffer.alloc(65_536, 7));
  expect(lmdbFileProblem(file)).toMatch(/is no LMDB file/);
  expect(() => openLmdb(dir)).toThrow(/data.mdb is no LMDB file/);
});

test.each([0, 1])("a file whose meta page %i is overwritten is refused", async (page) => {
  const file = await filled(10);
  const bytes = readFileSync(file);
  bytes.fill(0, page * 4096, page * 4096 + 100);
  writeFileSync(file, bytes);
  expect(lmdbFileProblem(file)).toMatch(/is no LMDB file/);
});

test("a file that is cut off before its newest pages is refused", async () => {
  const file = await filled(500);
  const { length } = readFileSync(file);
  const cut = join(dir, "cut.mdb");
  for (const size of [100, 5_000, Math.floor(length / 2)]) {
    copyFileSync(file, cut);
    truncateSync(cut, size);
    expect(lmdbFileProblem(cut), `${size} bytes`).toMatch(/is no LMDB file|is cut off/);
  }
});
