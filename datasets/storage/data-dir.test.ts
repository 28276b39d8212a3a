import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDataDir } from "./data-dir.ts";
import { isAlive, ownIdentity } from "./process-identity.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "roost-dir-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const module = JSON.stringify(new URL("./data-dir.ts", import.meta.url).href);
const run = (script: string) =>
  spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    stdio: ["pipe", "pipe", "inherit"],
  });
/** A child that tries to own `dir`, says "own" or the error's code, and keeps what it has until its stdin ends. */
const contender = () =>
  run(`
    import { openDataDir } from ${module};
    import { once } from "node:events";
    try {
      openDataDir(${JSON.stringify(dir)}, "own");
      console.log("own");
    } catch (error) {
      console.log(error.code ?? error);
    }
    process.stdin.resume();
    await once(process.stdin, "end");`);
const says = async (child: ReturnType<typeof run>): Promise<string> =>
  (
    await createInterface({ input: child.stdout as NodeJS.ReadableStream })
      [Symbol.asyncIterator]()
      .next()
  ).value;

test("a second owner is refused and told who has it; readers are not", () => {
  const owner = openDataDir(path.join(dir, "new"), "own");
  expect(() => openDataDir(owner.path, "own")).toThrow(
    expect.objectContaining({
      code: "DATA_DIR_LOCKED",
      message: expect.stringContaining(`process ${process.pid}`),
    }),
  );
  expect(openDataDir(owner.path, "read").readOnly).toBe(true);
  owner.close();
  owner.close();
  openDataDir(owner.path, "own").close();
  expect(readdirSync(owner.path)).toEqual([]);
});

test("the lock of a killed process is taken over", async () => {
  const child = contender();
  expect(await says(child)).toBe("own");
  expect(() => openDataDir(dir, "own")).toThrow(/owns the data directory/);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(existsSync(path.join(dir, "lock"))).toBe(true);
  openDataDir(dir, "own").close();
});

test("of many processes that find a dead owner exactly one becomes the new one", async () => {
  const dead = { ...ownIdentity(), start_ticks: "1" };
  writeFileSync(path.join(dir, "lock"), JSON.stringify(dead));
  const children = Array.from({ length: 6 }, contender);
  const answers = await Promise.all(children.map(says));
  expect(answers.filter((answer) => answer === "own")).toEqual(["own"]);
  expect(answers.filter((answer) => answer !== "own")).toEqual(Array(5).fill("DATA_DIR_LOCKED"));
  for (const child of children) child.stdin?.end();
  await Promise.all(children.map((child) => child.exitCode ?? once(child, "exit")));
});

test("a takeover that died half-way is itself taken over", () => {
  const dead = JSON.stringify({ ...ownIdentity(), start_ticks: "1" });
  writeFileSync(path.join(dir, "lock"), dead);
  writeFileSync(path.join(dir, "lock.takeover"), dead);
  const owner = openDataDir(dir, "own");
  expect(JSON.parse(readFileSync(path.join(dir, "lock"), "utf8"))).toEqual(ownIdentity());
  owner.close();
  expect(readdirSync(dir)).toEqual([]);
});

test("a reused pid and a reboot are told from the process that took the lock", () => {
  const own = ownIdentity();
  expect(isAlive(own)).toBe(true);
  expect(isAlive({ ...own, start_ticks: "1" })).toBe(false);
  expect(isAlive({ ...own, boot_id: "another boot" })).toBe(false);
  expect(isAlive({ ...own, boot_id: null, start_ticks: null })).toBe(true);
});

test("a lock of another host, or one that cannot be read, is never taken over", () => {
  const lock = path.join(dir, "lock");
  writeFileSync(lock, JSON.stringify({ ...ownIdentity(), host: `not-${hostname()}`, pid: 1 }));
  expect(() => openDataDir(dir, "own")).toThrow(/on not-.*remove the file/);
  writeFileSync(lock, "");
  expect(() => openDataDir(dir, "own")).toThrow(/owns the data directory/);
});

test("closing never removes another owner's lock", () => {
  const owner = openDataDir(dir, "own");
  const other = JSON.stringify({ ...ownIdentity(), host: "another" });
  writeFileSync(path.join(dir, "lock"), other);
  owner.close();
  expect(readFileSync(path.join(dir, "lock"), "utf8")).toBe(other);
});

test("a missing directory for reading and a file in its place are named", () => {
  expect(() => openDataDir(path.join(dir, "none"), "read")).toThrow(/none does not exist/);
  const file = path.join(dir, "file");
  writeFileSync(file, "");
  expect(() => openDataDir(file, "own")).toThrow(/cannot be used/);
  expect(() => openDataDir(file, "read")).toThrow(/is a file/);
});
