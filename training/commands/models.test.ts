import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { simulate } from "../../datasets/commands/simulate.ts";
import { readAliases } from "../../features/models/aliases.ts";
import { readLineage, versionDir } from "../../features/models/versions.ts";
import { ELEMENT, foreignModel, writeDense } from "../onnx/foreign-models.fixture.ts";
import { type TrainRequest, trainRankers } from "../train-rankers.ts";
import { modelsCommand } from "./models.ts";

let data: string;
const out = (): string => join(data, "models");
const stage = (name = "light"): string => join(out(), name);
const trained = async (seed: number, more: Partial<TrainRequest> = {}) => {
  const { bundles, promotions } = await trainRankers({
    data,
    out: out(),
    rankers: ["light"],
    seed,
    threads: 1,
    metricRounds: 20,
    command: ["roost", "train", "--seed", String(seed)],
    nowMs: seed * 1000,
    ...more,
  });
  return { version: bundles.light?.version as string, ...promotions.light };
};
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), "roost-models-"));
  await simulate({ preset: "tiny", seed: 4, outDir: data });
});
afterAll(() => rm(data, { recursive: true }));

/** What `roost models …` prints. */
async function models(...args: string[]): Promise<string> {
  let printed = "";
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += text;
    return true;
  });
  try {
    await modelsCommand()
      .exitOverride()
      .parseAsync([...args, "--data", data], { from: "user" });
  } finally {
    write.mockRestore();
  }
  return printed;
}
const json = async (...args: string[]) => JSON.parse(await models(...args, "--json"));

let first: string;
let second: string;
test("the first training makes a champion, the next a version beside it that says what it follows", async () => {
  expect(await models("list")).toBe(`there are no models in ${out()}\n`);
  const one = await trained(1);
  first = one.version;
  expect(one.champion).toBe(first);
  const two = await trained(2);
  second = two.version;
  expect(second).not.toBe(first);
  expect(two.champion).toBe(first);
  expect(await readLineage(stage(), second)).toEqual({
    format: 1,
    version: second,
    parent: first,
    command: ["roost", "train", "--seed", "2"],
    published_ms: 2000,
  });
  expect((await trained(1)).version).toBe(first);
});

test("list shows every version with its aliases, damaged ones with the reason", async () => {
  const { stages } = await json("list");
  expect(stages).toMatchObject([
    {
      stage: "light",
      champion: first,
      challenger: null,
      versions: [
        { version: second, aliases: [], parent: first, problem: null },
        { version: first, aliases: ["champion"], parent: null, problem: null },
      ],
    },
  ]);
  expect(stages[0].versions[0].auc.click).toBeGreaterThan(0.5);
  const damaged = versionDir(stage("heavy"), "0123456789abcdef");
  await cp(versionDir(stage(), second), damaged, { recursive: true });
  await writeFile(join(damaged, "model.onnx"), "x");
  expect(await models("list")).toMatch(/0123456789abcdef .*does not match its checksum/);
  await rm(stage("heavy"), { recursive: true });
});

test("show tells a version's data, features, metrics and moves, found by its first digits or an alias", async () => {
  const shown = await json("show", first.slice(0, 6));
  expect(shown).toMatchObject({
    stage: "light",
    champion: true,
    lineage: { version: first },
    history: [{ action: "train", from: null, to: first }],
    manifest: { version: first, kind: "light" },
  });
  expect(shown.manifest.validation.rows).toBeGreaterThan(100);
  expect(await json("show", "champion")).toEqual(shown);
  expect(await models("show", "champion")).toContain("roost train --seed 1");
  await expect(models("show", "ffff")).rejects.toThrow(/there is no version ffff/);
  await expect(models("show", "challenger")).rejects.toThrow(/there is no version challenger/);
});

test("compare gives both metrics and a verdict; measured together, paired intervals", async () => {
  const told = await json("compare", first, second);
  expect(told).toMatchObject({ a: first, b: second, same_rows: true, paired: false });
  const click = told.metrics.find((m: { head: string }) => m.head === "click");
  expect(click.a.low).toBeLessThan(click.a.value);
  const paired = await json("compare", first, second, "--measure", "--rounds", "20");
  expect(paired).toMatchObject({ same_rows: true, paired: true });
  const again = paired.metrics.find((m: { head: string }) => m.head === "click");
  expect(again.a.value).toBeCloseTo(click.a.value, 9);
  expect(again.difference.value).toBeCloseTo(click.difference.value, 9);
  expect(again.difference.low).toBeLessThanOrEqual(again.difference.value);
  expect(await models("compare", "champion", second)).toContain("verdict");
});

test("promote names the metrics that refuse it; forced it keeps the reason; rollback returns", async () => {
  const strict = ["--gate", "click.auc=0,favorite.auc=0"];
  const { metrics } = await json("compare", first, second);
  const value = (head: string): number =>
    metrics.find((m: { head: string; metric: string }) => m.head === head && m.metric === "auc")
      .difference.value;
  // One of the two seeds is worse than the other in something: whichever it is, that one is refused.
  const worse = ["click", "favorite"].filter((head) => value(head) < 0);
  const [from, to] = worse.length > 0 ? [first, second] : [second, first];
  await models("promote", from, "--force", "to have it in place");
  await expect(models("promote", to, ...strict)).rejects.toMatchObject({
    code: "PROMOTION_REFUSED",
    message: expect.stringMatching(/(click|favorite) auc .* is worse/),
  });
  await expect(models("promote", to, "--force", " ")).rejects.toThrow(/--force needs a reason/);
  await models("promote", to, ...strict, "--force", "the seed does not matter");
  const { history } = await readAliases(stage());
  expect(history.at(-1)).toMatchObject({ to, reason: "the seed does not matter" });
  expect(await json("rollback")).toEqual({ stage: "light", from: to, to: from });
  expect(await readAliases(stage())).toMatchObject({ champion: from });
  await expect(models("rollback", "--stage", "heavy")).rejects.toThrow(
    /stage heavy .* no champion/,
  );
  await expect(models("show", from, "--stage", "heavy")).rejects.toThrow(/there is no version/);
});

test("a challenger is pointed to and can be promoted by that name", async () => {
  const { champion } = await readAliases(stage());
  const other = champion === first ? second : first;
  await models("promote", other, "--alias", "challenger");
  expect(await readAliases(stage())).toMatchObject({ champion, challenger: other });
  await models("promote", "challenger", "--force", "tried enough");
  expect(await readAliases(stage())).toMatchObject({ champion: other, challenger: null });
});

test("training with --promote goes through the gate, and says what refused it", async () => {
  const few = { fit: { maxPasses: 1, learningRate: 1e-9 } } as NonNullable<TrainRequest["options"]>;
  const { champion } = await readAliases(stage());
  const untrained = await trained(3, { promote: true, options: few });
  expect(untrained).toMatchObject({
    champion,
    refused: expect.stringMatching(/click auc .* worse/),
  });
  expect(await readAliases(stage())).toMatchObject({ champion });
});

test("a champion that cannot be served counts as none: the next training takes its place", async () => {
  const { champion } = await readAliases(stage());
  await writeFile(join(versionDir(stage(), champion as string), "model.onnx"), "x");
  const next = await trained(4);
  expect(next.champion).toBe(next.version);
});

const FEATURES = "post.click_rate_50d,post.favorite_rate_50d,post.age_hours";
/** click from the post's past clicks, favorite from its past favorites. */
const rates = foreignModel(
  [{ name: "rates", type: ELEMENT.float32, shape: ["n", 3] }],
  [{ name: "scores", type: ELEMENT.float32, shape: ["n", 2] }],
  (writer) => writeDense(writer, ["rates", "scores"], [3, 0, 0, 3, 0, 0], [-2, -3]),
);

test("an added model is measured on the champion's rows, so that it can be compared and promoted", async () => {
  const file = join(data, "rates.onnx");
  await writeFile(file, rates);
  const features = join(data, "features.txt");
  await writeFile(features, `# three\n${FEATURES.replaceAll(",", "\n")}\n`);
  const champion = await json("show", "champion");
  const flags = ["--stage", "light", "--heads", "click,favorite", "--missing", "0"];
  const added = await json(
    "add",
    file,
    ...flags,
    "--features",
    features,
    "--measure",
    "--rounds",
    "20",
  );
  const { version } = added.manifest;
  expect(added.manifest.validation).toEqual(champion.manifest.validation);
  expect(added.manifest.metrics.click.auc.value).toBeGreaterThan(0.5);
  expect((await readLineage(stage(), version))?.parent).toBe(champion.manifest.version);
  expect(await readAliases(stage())).toMatchObject({ champion: champion.manifest.version });
  await models("promote", version, "--gate", "auc=1");
  expect(await readAliases(stage())).toMatchObject({ champion: version });
  await models("rollback", "--stage", "light");

  const bare = await json("add", file, ...flags, "--features", FEATURES, "--gives", "logits");
  expect(bare.manifest.validation).toBeUndefined();
  await expect(models("promote", bare.manifest.version)).rejects.toThrow(
    `${bare.manifest.version} was not measured on validation rows`,
  );
  await expect(
    models("add", file, ...flags, "--features", "post.click_rate_50d,post.weight"),
  ).rejects.toThrow(/unknown features: post.weight/);
});

test("a light ranker has nothing to quantise", async () => {
  await expect(models("quantise", "champion", "--stage", "light")).rejects.toMatchObject({
    code: "BAD_BUNDLE",
    message: expect.stringContaining("no matrix product"),
  });
});
