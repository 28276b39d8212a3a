import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDataDir } from "./data-dir.ts";
import { commitReplacement, finishReplacement, replacementDir } from "./replacement.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "roost-replacement-"));
  for (const folder of ["a", "gone"]) mkdirSync(join(dir, folder));
  writeFileSync(join(dir, "a", "one"), "old");
  writeFileSync(join(dir, "two"), "old");
  writeFileSync(join(dir, "gone", "x"), "x");
});
afterEach(() => rmSync(dir, { recursive: true }));

const CHANGE = { files: ["a/one", "two", "new/three"], removed: ["gone", "never-was"] };
const read = (name: string): string => readFileSync(join(dir, name), "utf8");

function prepare(): void {
  for (const folder of ["a", "new"])
    mkdirSync(join(replacementDir(dir), folder), { recursive: true });
  for (const file of CHANGE.files) writeFileSync(join(replacementDir(dir), file), "new");
}

function expectDone(): void {
  for (const file of CHANGE.files) expect(read(file)).toBe("new");
  expect(readdirSync(dir).sort()).toEqual(["a", "new", "two"]);
}

test("all files take their places, what is to go goes, and nothing is left over", () => {
  prepare();
  commitReplacement(dir, CHANGE);
  expectDone();
  finishReplacement(dir);
  expectDone();
});

test("what was still being prepared at a crash is thrown away by the next owner", () => {
  prepare();
  writeFileSync(join(replacementDir(dir), "ready.json.partial"), '{"fil');
  openDataDir(dir, "own").close();
  expect([read("a/one"), read("two"), read("gone/x")]).toEqual(["old", "old", "x"]);
  expect(existsSync(replacementDir(dir))).toBe(false);
});

test.each([0, 1, 2, 3])("a crash after %i renames is finished by the next owner", (renames) => {
  prepare();
  writeFileSync(join(replacementDir(dir), "ready.json"), JSON.stringify(CHANGE));
  mkdirSync(join(dir, "new"));
  for (const file of CHANGE.files.slice(0, renames)) {
    writeFileSync(join(dir, file), "new");
    rmSync(join(replacementDir(dir), file));
  }
  openDataDir(dir, "own").close();
  expectDone();
});

test("a reader beside an owner changes nothing", () => {
  prepare();
  openDataDir(dir, "read").close();
  expect(read("two")).toBe("old");
  expect(existsSync(replacementDir(dir))).toBe(true);
});

test("a list that is damaged is refused, and the directory is free again", () => {
  prepare();
  writeFileSync(join(replacementDir(dir), "ready.json"), "{");
  expect(() => openDataDir(dir, "own")).toThrow(/ready\.json cannot be read/);
  expect(existsSync(join(dir, "lock"))).toBe(false);
});
