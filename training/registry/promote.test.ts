import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BundleManifest, writeBundle } from "../../features/bundle.ts";
import { readAliases } from "../../features/models/aliases.ts";
import { readChampion } from "../../features/models/champion.ts";
import { publishVersion, versionDir } from "../../features/models/versions.ts";
import { schemaHash } from "../../features/registry.ts";
import { promote, rollback } from "./promote.ts";

let stageDir: string;
beforeEach(async () => {
  stageDir = join(await mkdtemp(join(tmpdir(), "roost-promote-")), "heavy");
});
afterEach(() => rm(join(stageDir, ".."), { recursive: true }));

const FEATURES = ["post.age_hours"];
/** A protobuf without a field: no weights. */
const MODEL = new Uint8Array(0);
type Unversioned = Omit<BundleManifest, "version" | "checksum">;
const manifest = (auc: number, more: Partial<Unversioned> = {}): Unversioned => ({
  format: 1,
  kind: "heavy",
  features: FEATURES,
  schema_hash: schemaHash(FEATURES, []),
  ids: [],
  heads: [{ name: "click", kind: "binary" }],
  calibration: [{ kind: "platt", a: 1, b: 0 }],
  masked_heads: [],
  metrics: { click: { auc: { value: auc, low: auc, high: auc } } },
  data: { source: "test", from_ms: 0, to_ms: 0, rows: 0, positives: {} },
  validation: { from_ms: 0, to_ms: 1, rows: 5, positives: {}, checksum: "same" },
  seed: 1,
  parameters: 1,
  settings: {},
  ...more,
});
const published = async (auc: number, more: Partial<Unversioned> = {}): Promise<string> =>
  (
    await publishVersion(stageDir, MODEL, manifest(auc, more), {
      parent: null,
      command: [],
      published_ms: 0,
    })
  ).version;
let now = 0;
const move = (version: string, more: Partial<Parameters<typeof promote>[0]> = {}) =>
  promote({ stageDir, version, action: "promote", nowMs: ++now, ...more });
const champion = async (): Promise<string> => (await readChampion(stageDir)).manifest.version;

test("the first champion needs no gate, a better one takes its place, the same again moves nothing", async () => {
  const [a, b] = [await published(0.7), await published(0.8)];
  expect(await move(a)).toMatchObject({ from: null, moved: true, findings: [] });
  expect(await move(b)).toMatchObject({ from: a, moved: true });
  expect(await champion()).toBe(b);
  expect(await move(b)).toMatchObject({ moved: false });
  expect((await readAliases(stageDir)).history).toHaveLength(2);
});

test("a worse one is refused by the metric, and forced only with its reason kept", async () => {
  const [a, b] = [await published(0.8), await published(0.7)];
  await move(a);
  await expect(move(b)).rejects.toMatchObject({
    code: "PROMOTION_REFUSED",
    message: expect.stringContaining(`${b}: click auc 0.7000 is worse`),
  });
  expect(await champion()).toBe(a);
  expect(await move(b, { gate: [{ metric: "auc", tolerance: 0.2 }] })).toMatchObject({
    moved: true,
  });
  await rollback(stageDir, 9);
  const forced = await move(b, { force: "the log of a had leaked labels" });
  expect(forced.overridden).toHaveLength(1);
  expect((await readAliases(stageDir)).history.at(-1)).toMatchObject({
    to: b,
    reason: "the log of a had leaked labels",
    overridden: [expect.stringContaining("click auc")],
  });
});

test("one that was measured on other rows is refused however good it looks, unless forced", async () => {
  const [a, b] = [
    await published(0.7),
    await published(0.9, {
      validation: { from_ms: 5, to_ms: 6, rows: 5, positives: {}, checksum: "other" },
    }),
  ];
  await move(a);
  await expect(move(b)).rejects.toThrow(/different validation rows/);
  await move(b, { force: "days have passed" });
  expect(await champion()).toBe(b);
});

test("a challenger passes no gate and is not served", async () => {
  const [a, b] = [await published(0.8), await published(0.7)];
  await move(a);
  await move(b, { alias: "challenger" });
  expect(await readAliases(stageDir)).toMatchObject({ champion: a, challenger: b });
  expect(await champion()).toBe(a);
});

test.each([
  ["damaged", {}, true, /checksum/],
  [
    "of unknown features",
    { features: ["user.shoe_size"] },
    false,
    /unknown features: user.shoe_size/,
  ],
  [
    "of older feature definitions",
    { schema_hash: "0000" },
    false,
    /trained on other feature definitions/,
  ],
])(
  "a version that is %s is refused, forced or not, and the champion stays",
  async (_, more, damage, reason) => {
    const [a, b] = [await published(0.7), await published(0.9, more)];
    await move(a);
    if (damage) await writeFile(join(versionDir(stageDir, b), "model.onnx"), "damaged");
    for (const force of [{}, { force: "please" }])
      await expect(move(b, force)).rejects.toMatchObject({
        code: "BAD_BUNDLE",
        message: expect.stringMatching(reason),
      });
    await expect(move("0123456789abcdef")).rejects.toMatchObject({ code: "BAD_BUNDLE" });
    expect(await champion()).toBe(a);
  },
);

test("a champion that cannot be served any more is no bar", async () => {
  const [a, b] = [await published(0.9), await published(0.6)];
  await move(a);
  await writeFile(join(versionDir(stageDir, a), "model.onnx"), "damaged");
  expect(await move(b)).toMatchObject({ from: a, moved: true, overridden: [] });
});

test("a rollback returns to the champion before, again to the one before that, and stops at the first", async () => {
  const versions = [await published(0.6), await published(0.7), await published(0.8)];
  for (const version of versions) await move(version);
  const [a, b, c] = versions;
  expect(await rollback(stageDir, 10)).toEqual({ from: c, to: b });
  expect(await rollback(stageDir, 11)).toEqual({ from: b, to: a });
  expect(await champion()).toBe(a);
  await expect(rollback(stageDir, 12)).rejects.toThrow(/had no champion before/);
  await writeFile(join(versionDir(stageDir, a as string), "model.onnx"), "damaged");
  await move(c as string);
  await expect(rollback(stageDir, 13)).rejects.toThrow(/checksum/);
  expect(await champion()).toBe(c);
});

test("a bundle from before there were versions is what the gate compares with, and what a rollback returns to", async () => {
  const old = await writeBundle(stageDir, MODEL, manifest(0.8));
  const [worse, better] = [await published(0.7), await published(0.9)];
  await expect(move(worse)).rejects.toThrow(/click auc/);
  await move(better);
  expect(await rollback(stageDir, 3)).toEqual({ from: better, to: old.version });
  expect(await champion()).toBe(old.version);
});
