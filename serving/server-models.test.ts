import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { type Bundle, type BundleManifest, writeBundle } from "../features/bundle.ts";
import { moveAlias, readAliases } from "../features/models/aliases.ts";
import { adoptUnversioned, readChampion } from "../features/models/champion.ts";
import { publishVersion, versionDir } from "../features/models/versions.ts";
import { schemaHash } from "../features/registry.ts";
import { tinyOnnx } from "./inference/tiny-model.fixture.ts";
import { freshSpace, roost, type TestServer, testServer } from "./space.fixture.ts";

const FEATURES = ["post.click_rate_50d", "post.age_hours"];
type Unversioned = Omit<BundleManifest, "version" | "checksum">;
/** A model of another making: favorite and click from two features. */
const model = (bias: number): Uint8Array =>
  tinyOnnx({ weights: [1, 2, -0.01, 0], bias: [bias, 0], missingAsZero: true });
const manifest = (more: Partial<Unversioned> = {}): Unversioned => ({
  format: 1,
  kind: "heavy",
  features: FEATURES,
  schema_hash: schemaHash(FEATURES, []),
  ids: [],
  heads: [
    { name: "favorite", kind: "binary" },
    { name: "click", kind: "binary" },
  ],
  calibration: [
    { kind: "platt", a: 1, b: 0 },
    { kind: "platt", a: 1, b: 0 },
  ],
  masked_heads: [],
  metrics: {},
  data: { source: "test", from_ms: 0, to_ms: 0, rows: 0, positives: {} },
  seed: 1,
  parameters: 6,
  settings: {},
  ...more,
});

let server: TestServer;
let stageDir: string;
let viewers: string[];
beforeAll(async () => {
  server = await testServer();
  stageDir = join(server.dir, "models", "heavy");
  const { graph } = server.parts;
  viewers = [...graph.users()].filter((user) => graph.following(user).size >= 5);
});

/** Points the champion to a version past every check, as a hand in the directory would. */
const point = (to: string, at = stageDir) =>
  moveAlias(at, async () => ({ at_ms: 0, alias: "champion", action: "promote", to }));
const published = (bytes: Uint8Array, more: Partial<Unversioned> = {}) =>
  publishVersion(stageDir, bytes, manifest(more), { parent: null, command: [], published_ms: 0 });
let asked = 0;
const heavyOf = async ({ rank }: TestServer): Promise<string> => {
  const page = await rank({ user_id: viewers[asked++ % viewers.length] as string });
  // A busy machine may answer late; a model that is taken away would fail.
  expect(page.degraded).not.toContainEqual({ component: "heavy_model", kind: "failed" });
  return page.model_versions.heavy as string;
};
const served = (version: string, by: TestServer = server) =>
  expect.poll(() => heavyOf(by), { timeout: 20_000 }).toBe(version);

test("a model that is added and promoted beside a running server takes over, and rolls back, without a lost request", async () => {
  const before = await heavyOf(server);
  const file = join(server.dir, "other.onnx");
  await writeFile(file, model(-3));
  const run = async (...args: string[]): Promise<{ manifest: BundleManifest }> => {
    const ended = await roost(["models", ...args, "--data", server.dir, "--json"]);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    return JSON.parse(ended.stdout);
  };
  const flags = ["--features", FEATURES.join(), "--heads", "favorite,click", "--gives", "logits"];
  const added = await run("add", file, "--stage", "heavy", ...flags);
  const { version } = added.manifest;

  const seen = new Map<string, number>();
  let asking = true;
  const load = Array.from({ length: 2 }, async () => {
    while (asking) {
      const heavy = await heavyOf(server);
      seen.set(heavy, (seen.get(heavy) ?? 0) + 1);
    }
  });
  try {
    await run("promote", version, "--force", "to see it take over");
    await served(version);
    await run("rollback", "--stage", "heavy");
    await served(before);
  } finally {
    asking = false;
    await Promise.all(load);
  }
  expect([...seen.keys()].sort()).toEqual([before, version].sort());
});

const spoiled: [string, () => Promise<string>, RegExp][] = [
  [
    "tampered bytes",
    async () => {
      const { version } = await published(model(-2));
      const path = join(versionDir(stageDir, version), "model.onnx");
      const bytes = await readFile(path);
      bytes.writeUInt8(bytes.readUInt8(60) ^ 1, 60);
      await writeFile(path, bytes);
      return version;
    },
    /model\.onnx does not match its checksum/,
  ],
  [
    "a NaN weight",
    async () =>
      (await published(tinyOnnx({ weights: [1, 1, Number.NaN, 1], bias: [0, 0] }))).version,
    /weight 2 of weights is NaN/,
  ],
  [
    "NaN for missing features",
    async () => (await published(tinyOnnx({ weights: [1, 1, 1, 1], bias: [0, 0] }))).version,
    /favorite is NaN when all features are missing/,
  ],
  [
    "an input of another width",
    async () =>
      (await published(tinyOnnx({ weights: [1, 1], bias: [0, 0], missingAsZero: true }))).version,
    /invalid dimensions.*features/i,
  ],
  [
    "an output of another width",
    async () =>
      (await published(tinyOnnx({ weights: [1, 1], bias: [0], missingAsZero: true }))).version,
    /gives 1 values a row, not one for each of 2 heads/,
  ],
  [
    "unknown features",
    async () =>
      (await published(model(0), { features: ["post.click_rate_50d", "post.weight"] })).version,
    /unknown features: post\.weight/,
  ],
  [
    "an older schema",
    async () => (await published(model(0), { schema_hash: "older" })).version,
    /trained on other feature definitions/,
  ],
];
test.each(spoiled)(
  "a champion with %s is refused with the reason, and the old one serves on",
  async (_, make, reason) => {
    const before = await heavyOf(server);
    const seen = server.lines.length;
    await point(await make());
    const refusal = () =>
      server.lines
        .slice(seen)
        .find(({ msg }) => msg === "a new bundle was refused; the old one serves on");
    await expect
      .poll(refusal, { timeout: 20_000 })
      .toMatchObject({ stage: "heavy", problem: expect.stringMatching(reason) });
    expect(await heavyOf(server)).toBe(before);
    await point(before);
  },
);

test("a data directory from before there were versions is served, reloaded, and adopted while it is", async () => {
  const dir = await freshSpace();
  const heavy = join(dir, "models", "heavy");
  const put = async ({ manifest, model }: Pick<Bundle, "model"> & { manifest: Unversioned }) => {
    const { version: _version, checksum: _checksum, ...rest } = manifest as BundleManifest;
    return (await writeBundle(heavy, model, rest)).version;
  };
  const trained = await readChampion(heavy);
  await rm(heavy, { recursive: true });
  expect(await put(trained)).toBe(trained.manifest.version);
  const old = await testServer({ dir });
  expect(await heavyOf(old)).toBe(trained.manifest.version);
  const next = await put({ manifest: manifest(), model: model(-1) });
  await served(next, old);
  await adoptUnversioned(heavy, 1);
  expect(await readAliases(heavy)).toMatchObject({ champion: next });
  expect(await heavyOf(old)).toBe(next);
  await publishVersion(heavy, trained.model, unversioned(trained.manifest), {
    parent: null,
    command: [],
    published_ms: 0,
  });
  await point(trained.manifest.version, heavy);
  await served(trained.manifest.version, old);
});

test("a server that started without a model takes the first champion", async () => {
  const modelDir = join(await freshSpace(), "none");
  await mkdir(join(modelDir, "heavy"), { recursive: true });
  const bare = await testServer({ settings: { modelDir } });
  expect((await bare.rank({ user_id: viewers[0] as string })).model_versions).toEqual({});
  const { version } = await publishVersion(join(modelDir, "heavy"), model(0), manifest(), {
    parent: null,
    command: [],
    published_ms: 0,
  });
  await point(version, join(modelDir, "heavy"));
  await expect
    .poll(async () => (await bare.rank({ user_id: viewers[0] as string })).model_versions, {
      timeout: 20_000,
    })
    .toEqual({ heavy: version });
});

function unversioned({
  version: _version,
  checksum: _checksum,
  ...rest
}: BundleManifest): Unversioned {
  return rest;
}
