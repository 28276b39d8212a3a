import { mkdir, mkdtemp, readdir, readFile, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type BundleManifest,
  bundleVersion,
  type Calibration,
  calibrate,
  idBucket,
  readBundle,
  writeBundle,
} from "./bundle.ts";

type Unversioned = Omit<BundleManifest, "version" | "checksum">;
const manifest = (more: Partial<Unversioned> = {}): Unversioned => ({
  format: 1,
  kind: "light",
  features: ["post.age_hours", "user.following"],
  schema_hash: "abc",
  ids: [{ name: "author", buckets: 1024 }],
  heads: [
    { name: "click", kind: "binary" },
    { name: "dwell_seconds", kind: "continuous" },
  ],
  calibration: [
    { kind: "platt", a: 1.1, b: -0.2 },
    { kind: "linear", a: 2, b: 0.5 },
  ],
  masked_heads: ["dwell_seconds"],
  metrics: { click: { auc: { value: 0.7, low: 0.69, high: 0.71 } } },
  data: { source: "world", from_ms: 1, to_ms: 2, rows: 3, positives: { click: 1 } },
  seed: 7,
  parameters: 12,
  settings: { rate: 1e-3, nested: { b: 1, a: [1, { z: 1, y: 2 }] } },
  ...more,
});
const model = (seed: number, bytes = 1000) => new Uint8Array(bytes).fill(seed);

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "roost-bundle-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

test("a bundle is read back as it was written, into directories that were not there", async () => {
  const dir = join(home, "models", "deep", "light");
  const written = await writeBundle(dir, model(1), manifest());
  const read = await readBundle(dir);
  expect(read.manifest).toEqual(written);
  expect(read.manifest).toMatchObject(manifest());
  expect(new Uint8Array(read.model)).toEqual(model(1));
  expect((await readdir(dir)).sort()).toEqual(["bundle.json", "model.onnx"]);
  expect(await readdir(join(home, "models", "deep"))).toEqual(["light"]);
});

test("the version is the content's address: model and every field count, the fields' order does not", () => {
  const version = bundleVersion(manifest(), model(1));
  expect(version).toMatch(/^[0-9a-f]{16}$/);
  const reordered = Object.fromEntries(Object.entries(manifest()).reverse()) as Unversioned;
  expect(bundleVersion(reordered, model(1))).toBe(version);
  const others = [
    bundleVersion(manifest(), model(2)),
    bundleVersion(manifest({ seed: 8 }), model(1)),
    bundleVersion(manifest({ features: ["user.following", "post.age_hours"] }), model(1)),
    bundleVersion(manifest({ settings: {} }), model(1)),
  ];
  expect(new Set([version, ...others]).size).toBe(5);
});

test("the same content has the same version wherever and in whichever field order it is written", async () => {
  const reordered = Object.fromEntries(Object.entries(manifest()).reverse()) as Unversioned;
  const a = await writeBundle(join(home, "a"), model(1), manifest());
  const b = await writeBundle(join(home, "b"), model(1), reordered);
  expect(b.version).toBe(a.version);
  expect((await readBundle(join(home, "b"))).manifest.version).toBe(a.version);
});

test("a bundle that replaces another leaves nothing of it behind", async () => {
  const dir = join(home, "light");
  await writeBundle(dir, model(1), manifest());
  await writeFile(join(dir, "stray"), "x");
  await writeBundle(dir, model(2), manifest({ seed: 2 }));
  expect((await readBundle(dir)).manifest.seed).toBe(2);
  expect((await readdir(dir)).sort()).toEqual(["bundle.json", "model.onnx"]);
  expect(await readdir(home)).toEqual(["light"]);
});

test("a reader that races replacements gets one bundle or the other, whole, every time", async () => {
  const dir = join(home, "light");
  await writeBundle(dir, model(0, 300_000), manifest({ seed: 0 }));
  let writing = true;
  const writer = (async () => {
    for (let i = 1; i <= 40; i++)
      await writeBundle(dir, model(i % 2, 300_000), manifest({ seed: i % 2 }));
    writing = false;
  })();
  const seen = new Set<number>();
  while (writing) {
    const bundle = await readBundle(dir);
    expect(new Set(bundle.model)).toEqual(new Set([bundle.manifest.seed]));
    seen.add(bundle.manifest.seed);
  }
  await writer;
  expect(seen).toEqual(new Set([0, 1]));
});

test("a model or a manifest that was changed afterwards is refused", async () => {
  const dir = join(home, "light");
  await writeBundle(dir, model(1), manifest());
  const path = join(dir, "bundle.json");
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace('"seed": 7', '"seed": 8'));
  await expect(readBundle(dir)).rejects.toMatchObject({
    code: "BAD_BUNDLE",
    message: expect.stringContaining("does not match its version"),
  });
  await writeFile(path, text);
  await readBundle(dir);
  const bytes = model(1);
  bytes[500] = 77;
  await writeFile(join(dir, "model.onnx"), bytes);
  await expect(readBundle(dir)).rejects.toMatchObject({
    code: "BAD_BUNDLE",
    message: expect.stringContaining("checksum"),
  });
});

test.each([
  ["not JSON", () => "{ half", /JSON/],
  ["an unknown field", (m: BundleManifest) => ({ ...m, colour: "red" }), /colour/],
  ["a missing field", ({ heads: _, ...m }: BundleManifest) => m, /heads/],
  ["a wrong kind", (m: BundleManifest) => ({ ...m, features: [] }), /features/],
  [
    "another number of calibrations",
    (m: BundleManifest) => ({ ...m, calibration: m.calibration.slice(1) }),
    /calibration/,
  ],
] as const)("a manifest with %s is refused and the fault named", async (_, spoil, named) => {
  const dir = join(home, "light");
  const written = await writeBundle(dir, model(1), manifest());
  const spoiled = spoil(written);
  await writeFile(
    join(dir, "bundle.json"),
    typeof spoiled === "string" ? spoiled : JSON.stringify(spoiled),
  );
  await expect(readBundle(dir)).rejects.toMatchObject({
    code: "BAD_BUNDLE",
    message: expect.stringMatching(named),
  });
});

test.each(["bundle.json", "model.onnx"])("a bundle without %s is refused by path", async (file) => {
  const dir = join(home, "light");
  await writeBundle(dir, model(1), manifest());
  await unlink(join(dir, file));
  await expect(readBundle(dir)).rejects.toMatchObject({
    code: "BAD_BUNDLE",
    message: expect.stringContaining(join(dir, file)),
  });
});

test.each([
  ["a NaN", { metrics: { click: { auc: { value: Number.NaN, low: 0, high: 1 } } } }, /metrics/],
  ["a calibration too few", { calibration: [] }, /calibration/],
  ["a feature twice", { features: ["post.age_hours", "post.age_hours"] }, /features/],
  ["a masked head that it does not have", { masked_heads: ["reply"] }, /masked_heads/],
  [
    "isotonic points that do not ascend",
    {
      calibration: [
        { kind: "isotonic", x: [1, 0], y: [0, 1] },
        { kind: "linear", a: 1, b: 0 },
      ],
    },
    /calibration/,
  ],
  [
    "isotonic points without values",
    {
      calibration: [
        { kind: "isotonic", x: [0, 1], y: [0] },
        { kind: "linear", a: 1, b: 0 },
      ],
    },
    /calibration/,
  ],
] as [string, Partial<Unversioned>, RegExp][])(
  "a bundle with %s is not written, and the old one stays",
  async (_, fault, named) => {
    const dir = join(home, "light");
    const old = await writeBundle(dir, model(1), manifest());
    await expect(writeBundle(dir, model(2), manifest(fault))).rejects.toMatchObject({
      code: "BAD_BUNDLE",
      message: expect.stringMatching(named),
    });
    expect((await readBundle(dir)).manifest).toEqual(old);
    expect(await readdir(home)).toEqual(["light"]);
  },
);

test("a bundle that cannot take its place leaves the reason, not a half", async () => {
  await mkdir(join(home, "taken"));
  await writeFile(join(home, "taken", "file"), "x");
  await expect(
    writeBundle(join(home, "taken", "file", "light"), model(1), manifest()),
  ).rejects.toThrow();
  expect(await readdir(join(home, "taken"))).toEqual(["file"]);
});

test("Platt calibration is the logistic of a line", () => {
  const platt: Calibration = { kind: "platt", a: 2, b: -1 };
  expect(calibrate(platt, 0.5)).toBe(0.5);
  expect(calibrate(platt, (Math.log(3) + 1) / 2)).toBeCloseTo(0.75, 12);
  expect(calibrate(platt, -1000)).toBe(0);
  expect(calibrate(platt, 1000)).toBe(1);
  expect(calibrate(platt, Number.NaN)).toBeNaN();
});

test("linear calibration is a line that never goes below 0", () => {
  const linear: Calibration = { kind: "linear", a: 2, b: 1 };
  expect([3, -0.5, -4].map((y) => calibrate(linear, y))).toEqual([7, 0, 0]);
  expect(calibrate(linear, Number.NaN)).toBeNaN();
});

test("isotonic calibration is straight between its points and flat outside", () => {
  const points: Calibration = { kind: "isotonic", x: [-2, 0, 0, 4], y: [0.1, 0.2, 0.4, 0.8] };
  expect(calibrate(points, -9)).toBe(0.1);
  expect(calibrate(points, -2)).toBe(0.1);
  expect(calibrate(points, -1)).toBeCloseTo(0.15, 12);
  expect(calibrate(points, 1)).toBeCloseTo(0.5, 12);
  expect(calibrate(points, 3)).toBeCloseTo(0.7, 12);
  expect(calibrate(points, 99)).toBe(0.8);
  expect(calibrate(points, Number.NaN)).toBeNaN();
  expect(calibrate({ kind: "isotonic", x: [0], y: [0.3] }, 5)).toBe(0.3);
  let before = 0;
  for (let z = -3; z <= 5; z += 0.01) {
    const p = calibrate(points, z);
    expect(p).toBeGreaterThanOrEqual(before);
    before = p;
  }
});

test("an id's bucket is 0 when it is missing and lies in 1 … buckets − 1 otherwise", () => {
  expect(idBucket(0, 16)).toBe(0);
  const hit = new Set(Array.from({ length: 1000 }, (_, i) => idBucket(i + 1, 16)));
  expect([...hit].sort((a, b) => a - b)).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
  expect(idBucket(0xffffffff, 16)).toBe(1 + (0xffffffff % 15));
});
