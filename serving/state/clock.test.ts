import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WorldClock, wallClock } from "./clock.ts";

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "roost-clock-"));
  path = join(dir, "clock.json");
});
afterEach(() => rmSync(dir, { recursive: true }));

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
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({ world_ms: 30 });
  expect(readdirSync(dir)).toEqual(["clock.json"]);
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
