import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serialize } from "node:v8";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readSnapshot, writeSnapshot } from "./snapshot.ts";

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "roost-snapshot-"));
  path = join(dir, "broadcast.snapshot");
});
afterEach(() => rmSync(dir, { recursive: true }));

const snapshot = {
  position: 77,
  states: { graph: { following: new Map([["1", new Set(["2", "3"])]]) }, posts: [Number.NaN, -0] },
};

test("what is written is read back, maps, sets and all; no draft stays", async () => {
  await writeSnapshot(path, snapshot);
  expect(await readSnapshot(path)).toEqual(snapshot);
  expect(readdirSync(dir)).toEqual(["broadcast.snapshot"]);
});

test("a file with any changed byte, cut short or missing is no snapshot", async () => {
  expect(await readSnapshot(path)).toBeUndefined();
  await writeSnapshot(path, snapshot);
  const bytes = readFileSync(path);
  for (let at = 0; at < bytes.length; at += 7) {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    writeFileSync(path, damaged);
    expect(await readSnapshot(path), `byte ${at}`).toBeUndefined();
  }
  for (const length of [0, 10, 32, bytes.length - 1]) {
    writeFileSync(path, bytes.subarray(0, length));
    expect(await readSnapshot(path), `${length} bytes`).toBeUndefined();
  }
});

test("an intact snapshot of another format is passed over", async () => {
  const body = serialize({ format: 999, ...snapshot });
  writeFileSync(path, Buffer.concat([createHash("sha256").update(body).digest(), body]));
  expect(await readSnapshot(path)).toBeUndefined();
});
