import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WorldClock, wallClock } from "./clock.ts";

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "roost-clock-"));
  path = join(dir, "clock.json");
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(dir, { recursive: true });
});

/** A world clock whose time is set by hand. */
function standing(firstMs: number): { clock: WorldClock; pass(ms: number): void } {
  let elapsed = 0;
  const clock = new WorldClock(path, firstMs, () => elapsed);
  return {
    clock,
    pass: (ms) => {
      elapsed += ms;
    },
  };
}

test("a new world begins at its first moment and runs on in whole milliseconds", () => {
  const { clock, pass } = standing(1_000_000);
  expect(clock.nowMs()).toBe(1_000_000);
  pass(12.9);
  expect(clock.nowMs()).toBe(1_000_012);
  expect(readdirSync(dir)).toEqual([]);
});

test("the next start begins at the last stored moment, however long this one ran on", async () => {
  const first = standing(1_000);
  first.pass(500);
  await first.clock.store(first.clock.nowMs());
  first.pass(99_999);
  expect(standing(1_000).clock.nowMs()).toBe(1_500);
});

test("an earlier moment never moves the stored one back, and many stores at once leave the latest", async () => {
  const { clock } = standing(0);
  await Promise.all([5, 9, 7, 30, 20].map((timeMs) => clock.store(timeMs)));
  await clock.store(8);
  await clock.close();
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({ world_ms: 30 });
  expect(readdirSync(dir)).toEqual(["clock.json"]);
});

test("many events a second make one write a second, and the last of them is written by itself", async () => {
  vi.useFakeTimers();
  const { clock } = standing(0);
  const stored = (): number => JSON.parse(readFileSync(path, "utf8")).world_ms;
  await clock.store(10);
  expect(stored()).toBe(10);
  for (let timeMs = 11; timeMs <= 900; timeMs++) await clock.store(timeMs);
  expect(stored()).toBe(10);
  vi.advanceTimersByTime(999);
  await clock.store(901);
  expect(stored()).toBe(10);
  vi.advanceTimersByTime(1);
  // An old moment stores nothing: it only waits for what the timer began.
  await clock.store(0);
  expect(stored()).toBe(901);
  await clock.store(902);
  expect(stored()).toBe(901);
  vi.advanceTimersByTime(1_000);
  await clock.store(0);
  expect(stored()).toBe(902);
  // After a second of rest an event is written at once.
  vi.advanceTimersByTime(1_000);
  await clock.store(5_000);
  expect(stored()).toBe(5_000);
});

test("a clock that is closed has written its last moment, and nothing twice", async () => {
  const { clock } = standing(0);
  await clock.store(10);
  await clock.store(20);
  await clock.close();
  expect(standing(0).clock.nowMs()).toBe(20);
  rmSync(path);
  await clock.close();
  expect(readdirSync(dir)).toEqual([]);
});

test("after a crash the next start begins at the last logged moment, and so does every later one", async () => {
  const killed = standing(1_000);
  await killed.clock.store(2_000);
  await killed.clock.store(2_700);
  const logged = [1_500, 2_000, 2_700, 2_400];
  const next = standing(1_000);
  expect(next.clock.nowMs()).toBe(2_000);
  await next.clock.recover(logged);
  expect(next.clock.nowMs()).toBe(2_700);
  expect(standing(1_000).clock.nowMs()).toBe(2_700);
});

test("records of another clock do not move the start", async () => {
  const { clock } = standing(1_000);
  await clock.recover([500, 1_000 + 3_600_000]);
  expect(clock.nowMs()).toBe(1_000);
  expect(readdirSync(dir)).toEqual([]);
});

test("a write that fails is told to whoever stores next", async () => {
  const { clock } = standing(0);
  rmSync(dir, { recursive: true });
  await expect(clock.store(1)).rejects.toThrow(/ENOENT/);
  await expect(clock.store(2)).rejects.toThrow(/ENOENT/);
  mkdirSync(dir);
  await clock.close();
  expect(standing(0).clock.nowMs()).toBe(2);
});

test.each(["", "{", '{"world_ms":"soon"}', "null"])(
  "a file that holds no moment (%s) is passed over",
  (text) => {
    writeFileSync(path, text);
    expect(standing(42).clock.nowMs()).toBe(42);
  },
);

test("the wall clock says what the machine says", () => {
  let now = 17;
  const clock = wallClock(() => now);
  expect(clock).toMatchObject({ kind: "wall" });
  now = 18;
  expect(clock.nowMs()).toBe(18);
});
