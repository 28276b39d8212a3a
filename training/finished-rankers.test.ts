import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BundleManifest } from "../features/bundle.ts";
import { publishVersion, versionDir } from "../features/models/versions.ts";
import { finishedRankers } from "./finished-rankers.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "roost-finished-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const at = (kind: string): string => join(dir, "models", kind);
const publish = (kind: string, seed: number): Promise<BundleManifest> =>
  publishVersion(
    at(kind),
    Uint8Array.of(1, 2, seed),
    {
      format: 1,
      kind,
      features: ["a"],
      schema_hash: "s",
      ids: [],
      heads: [{ name: "click", kind: "binary" }],
      calibration: [{ kind: "platt", a: 1, b: 0 }],
      masked_heads: [],
      metrics: {},
      data: { source: "test", from_ms: 0, to_ms: 1, rows: 1, positives: {} },
      seed,
      parameters: 1,
      settings: {},
    },
    { parent: null, command: [], published_ms: 0 },
  );

test("a noted ranker is found by the same run, also after a restart, and by no other run", async () => {
  const light = await publish("light", 1);
  await finishedRankers(dir, { seed: 1 }).note("light", light);
  expect(await finishedRankers(dir, { seed: 1 }).find("light", at("light"))).toEqual(light);
  expect(await finishedRankers(dir, { seed: 1 }).find("heavy", at("heavy"))).toBeUndefined();
  expect(await finishedRankers(dir, { seed: 2 }).find("light", at("light"))).toBeUndefined();
});

test("a version that was damaged or removed since is not taken for the finished one; another beside it changes nothing", async () => {
  const notes = finishedRankers(dir, "run");
  const light = await publish("light", 1);
  await notes.note("light", light);
  await notes.note("heavy", await publish("heavy", 1));
  await publish("light", 2);
  expect(await notes.find("light", at("light"))).toEqual(light);
  writeFileSync(join(versionDir(at("light"), light.version), "model.onnx"), "damaged");
  rmSync(at("heavy"), { recursive: true });
  expect(await notes.find("light", at("light"))).toBeUndefined();
  expect(await notes.find("heavy", at("heavy"))).toBeUndefined();
});

test("notes of another run are replaced, and cleared notes leave nothing", async () => {
  const light = await publish("light", 1);
  await finishedRankers(dir, 1).note("light", light);
  await finishedRankers(dir, 2).note("heavy", await publish("heavy", 1));
  expect(await finishedRankers(dir, 1).find("light", at("light"))).toBeUndefined();
  expect(await finishedRankers(dir, 2).find("light", at("light"))).toBeUndefined();
  await finishedRankers(dir, 2).clear();
  expect(readdirSync(dir)).toEqual(["models"]);
});
