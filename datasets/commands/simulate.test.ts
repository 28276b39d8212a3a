import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readDataset, readManifest } from "../dataset.ts";
import { createWorld } from "../world/world.ts";
import { simulate, simulateCommand } from "./simulate.ts";

let root: string;
let dir: string;
const shares: number[] = [];
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "roost-simulate-"));
  dir = join(root, "one");
  const onProgress = (share: number): void => void shares.push(share);
  await simulate({ preset: "tiny", seed: 5, outDir: dir, onProgress });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("the data set holds the world's events, numbered from 1, the held-out day apart", async () => {
  const world = createWorld("tiny", 5);
  const events = world.events();
  let seq = 0;
  for await (const batch of readDataset(dir, { heldOut: true })) {
    const expected = batch.map(() => ({ ...events.next().value, seq: ++seq }));
    expect(batch).toEqual(expected);
  }
  expect(events.next().done).toBe(true);
  let last = 0;
  for await (const batch of readDataset(dir)) last = batch.at(-1)!.time_ms;
  expect(last).toBeLessThan(world.heldOutFromMs);
  expect(last).toBeGreaterThan(world.heldOutFromMs - 3_600_000);
  const manifest = readManifest(dir);
  expect(manifest.events).toBe(seq);
  expect(manifest.held_out_from_ms).toBe(world.heldOutFromMs);
  expect(manifest.made_with).toEqual({ preset: "tiny", seed: 5 });
});

test("writing the same world again gives the same checksums", async () => {
  const again = join(root, "two");
  await simulate({ preset: "tiny", seed: 5, outDir: again });
  for (const name of ["world.json", "dataset.json"])
    expect(readFileSync(join(again, name), "utf8")).toBe(readFileSync(join(dir, name), "utf8"));
});

test("progress rises to 1", () => {
  expect(shares).toEqual([...shares].sort((a, b) => a - b));
  expect(shares.at(-1)).toBe(1);
});

test("a directory with a data set is refused and left alone", async () => {
  const before = readFileSync(join(dir, "dataset.json"), "utf8");
  await expect(simulate({ preset: "tiny", seed: 6, outDir: dir })).rejects.toMatchObject({
    code: "BAD_ARGUMENT",
  });
  expect(readFileSync(join(dir, "dataset.json"), "utf8")).toBe(before);
});

test("a log of another origin is refused, what an interrupted run left is replaced", async () => {
  const foreign = join(root, "foreign");
  mkdirSync(join(foreign, "segments"), { recursive: true });
  writeFileSync(join(foreign, "segments", "kept"), "x");
  await expect(simulate({ preset: "tiny", seed: 5, outDir: foreign })).rejects.toMatchObject({
    code: "BAD_ARGUMENT",
  });
  expect(existsSync(join(foreign, "segments", "kept"))).toBe(true);
  writeFileSync(join(foreign, "world.json"), "{}");
  await simulate({ preset: "tiny", seed: 5, outDir: foreign });
  expect(existsSync(join(foreign, "segments", "kept"))).toBe(false);
  expect(readManifest(foreign).checksum).toBe(readManifest(dir).checksum);
});

test("the command refuses presets and seeds that are none, naming the option", async () => {
  const run = (...args: string[]) => simulateCommand().parseAsync(args, { from: "user" });
  await expect(run("--preset", "huge")).rejects.toThrow("--preset huge");
  await expect(run("--preset", "tiny", "--seed", "1.5")).rejects.toThrow("--seed 1.5");
});
