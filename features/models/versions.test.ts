import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BundleManifest, writeBundle } from "../bundle.ts";
import { readAliases } from "./aliases.ts";
import { adoptUnversioned, championDir, hasChampion, readChampion } from "./champion.ts";
import {
  publishVersion,
  readLineage,
  readVersion,
  stagesOf,
  versionDir,
  versionsOf,
} from "./versions.ts";

let stageDir: string;
beforeEach(async () => {
  stageDir = join(await mkdtemp(join(tmpdir(), "roost-versions-")), "models", "heavy");
});
afterEach(() => rm(join(stageDir, "..", ".."), { recursive: true }));

const manifest = (seed: number): Omit<BundleManifest, "version" | "checksum"> => ({
  format: 1,
  kind: "heavy",
  features: ["x"],
  schema_hash: "abc",
  ids: [],
  heads: [{ name: "click", kind: "binary" }],
  calibration: [{ kind: "platt", a: 1, b: 0 }],
  masked_heads: [],
  metrics: {},
  data: { source: "test", from_ms: 0, to_ms: 0, rows: 0, positives: {} },
  seed,
  parameters: 1,
  settings: {},
});
const MODEL = Uint8Array.of(1, 2, 3);
const lineage = (now: number, parent: string | null = null) => ({
  parent,
  command: ["roost", "train"],
  published_ms: now,
});

test("versions stand side by side under their content's address, each with where it comes from", async () => {
  const a = await publishVersion(stageDir, MODEL, manifest(1), lineage(10));
  const b = await publishVersion(stageDir, MODEL, manifest(2), lineage(20, a.version));
  expect(await versionsOf(stageDir)).toEqual([a.version, b.version].sort());
  expect((await readVersion(stageDir, a.version)).manifest).toEqual(a);
  expect(await readLineage(stageDir, b.version)).toEqual({
    format: 1,
    version: b.version,
    parent: a.version,
    command: ["roost", "train"],
    published_ms: 20,
  });
  expect(await stagesOf(join(stageDir, ".."))).toEqual(["heavy"]);
  expect(await stagesOf(join(stageDir, "none"))).toEqual([]);
});

test("publishing the same again leaves the first as it is; a damaged one is replaced by its content", async () => {
  const { version } = await publishVersion(stageDir, MODEL, manifest(1), lineage(10));
  await publishVersion(stageDir, MODEL, manifest(1), lineage(99));
  expect((await readLineage(stageDir, version))?.published_ms).toBe(10);
  await writeFile(join(versionDir(stageDir, version), "model.onnx"), "damaged");
  await expect(readVersion(stageDir, version)).rejects.toThrow(/checksum/);
  await publishVersion(stageDir, MODEL, manifest(1), lineage(30));
  expect(new Uint8Array((await readVersion(stageDir, version)).model)).toEqual(MODEL);
  expect(await versionsOf(stageDir)).toEqual([version]);
});

test("what is left of an interrupted publication is no version", async () => {
  const { version } = await publishVersion(stageDir, MODEL, manifest(1), lineage(10));
  await mkdir(versionDir(stageDir, `.${version}.partial-abc`));
  expect(await versionsOf(stageDir)).toEqual([version]);
});

test("a version under another's name is refused", async () => {
  const { version } = await publishVersion(stageDir, MODEL, manifest(1), lineage(10));
  const other = "0123456789abcdef";
  await rename(versionDir(stageDir, version), versionDir(stageDir, other));
  await expect(readVersion(stageDir, other)).rejects.toThrow(`holds version ${version}`);
});

test("a bundle from before there were versions is the champion, and becomes a version without a gap for readers", async () => {
  expect(await hasChampion(stageDir)).toBe(false);
  await expect(readChampion(stageDir)).rejects.toMatchObject({ code: "BAD_BUNDLE" });
  await expect(championDir(stageDir)).rejects.toMatchObject({ code: "BAD_BUNDLE" });
  const old = await writeBundle(stageDir, MODEL, manifest(1));
  expect(await hasChampion(stageDir)).toBe(true);
  expect(await championDir(stageDir)).toBe(stageDir);
  let adopting = true;
  let reads = 0;
  const reader = (async () => {
    while (adopting || reads < 5) {
      expect((await readChampion(stageDir)).manifest).toEqual(old);
      reads++;
    }
  })();
  await adoptUnversioned(stageDir, 5);
  adopting = false;
  await reader;
  expect(await championDir(stageDir)).toBe(versionDir(stageDir, old.version));
  expect((await readAliases(stageDir)).history).toMatchObject([{ action: "adopt", at_ms: 5 }]);
  await expect(readFile(join(stageDir, "bundle.json"))).rejects.toThrow(/ENOENT/);
  await adoptUnversioned(stageDir, 6);
  expect((await readAliases(stageDir)).history).toHaveLength(1);
});

test("a damaged bundle from before there were versions is left where it is", async () => {
  await writeBundle(stageDir, MODEL, manifest(1));
  await writeFile(join(stageDir, "model.onnx"), "damaged");
  await adoptUnversioned(stageDir, 5);
  await expect(readChampion(stageDir)).rejects.toThrow(/checksum/);
  expect(await versionsOf(stageDir)).toEqual([]);
});
