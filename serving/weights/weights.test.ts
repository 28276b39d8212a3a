import { expect, test } from "vitest";
import { WORLD_HEADS } from "../../datasets/heads.ts";
import { WORLD_WEIGHTS } from "../../datasets/world/world-weights.ts";
import { DEFAULT_PARAMS } from "../params.ts";
import { loadPreset, PRESETS } from "./presets.ts";
import { effectiveWeights, parseWeights, weightsText } from "./weights.ts";

const yaml = (weights: string, params = "{}") =>
  `name: mine\ndescription: of a test\nweights: ${weights}\nparams: ${params}\n`;

test("the published sums of 2026 follow from its weights: N 367.22, P 43.32, T 410.54", async () => {
  const { negativeSum, positiveSum, total } = effectiveWeights(await loadPreset("x-2026"));
  expect(negativeSum).toBeCloseTo(367.22, 10);
  expect(positiveSum).toBeCloseTo(43.32, 10);
  expect(total).toBeCloseTo(410.54, 10);
});

test("the sums of 2023 count its ten published weights: N 443, P 123.005", async () => {
  const { heads, negativeSum, positiveSum } = effectiveWeights(await loadPreset("x-2023"));
  expect(heads).toHaveLength(10);
  expect(negativeSum).toBeCloseTo(443, 10);
  expect(positiveSum).toBeCloseTo(123.005, 10);
});

test("the world's weights are those of 2026 for exactly the heads that the world has", async () => {
  const world = await loadPreset("world");
  const published = await loadPreset("x-2026");
  expect(world.weights).toEqual(WORLD_WEIGHTS);
  expect(Object.keys(world.weights).sort()).toEqual([...WORLD_HEADS].sort());
  for (const head of WORLD_HEADS) expect(world.weights[head]).toBe(published.weights[head] ?? 0);
  expect(effectiveWeights(world).params).toMatchObject({
    offset_epsilon: 0,
    mutual_reply_boost: 0,
  });
});

test("every preset is found under the name that it gives itself", async () => {
  for (const name of PRESETS) expect((await loadPreset(name)).name).toBe(name);
  await expect(loadPreset("../x")).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
});

test("every problem of a file is named at once, with its place", () => {
  const wrong = yaml(
    "{ favorite: -1, report: 1, like: 2, reply: .nan, quote: '5', share: .inf, click: 1e9 }",
    "{ heavy_limit: 0, colour: 1 }",
  );
  const refused = () => parseWeights(wrong, "weights.yaml");
  for (const place of [
    "weights.yaml: /weights/favorite must be ≥ 0",
    "/weights/report must be ≤ 0",
    "/weights/like is no head",
    "/weights/reply must be a finite number",
    "/weights/quote must be a finite number",
    "/weights/share must be a finite number",
    "/weights/click must be within",
    "/params/heavy_limit must be in 1–1500",
    "/params/colour is no ranking parameter",
  ])
    expect(refused).toThrow(place);
});

test("unknown keys, missing keys and broken YAML are refused", () => {
  expect(() => parseWeights(`${yaml("{}")}wieghts: {}\n`, "w")).toThrow(/wieghts/);
  expect(() => parseWeights("weights: {}\n", "w")).toThrow(/\/name .*\/description/);
  expect(() => parseWeights("weights: {a: 1, a: 2}\n", "w")).toThrow(/line 1 .*unique/i);
  expect(() => parseWeights("- 1\n", "w")).toThrow(/w: \//);
  expect(() => parseWeights("", "w")).toThrow(/w: \//);
});

test("the checksum is of the content: order, comments and name do not change it, a value does", () => {
  const sum = (text: string) => parseWeights(text, "w").checksum;
  const one = sum(yaml("{ favorite: 1, reply: 2 }"));
  expect(one).toMatch(/^[0-9a-f]{16}$/);
  expect(sum(`# a comment\n${yaml("{ reply: 2.0, favorite: 1 }").replace("mine", "yours")}`)).toBe(
    one,
  );
  expect(sum(yaml("{ favorite: 1, reply: 2.5 }"))).not.toBe(one);
  expect(sum(yaml("{ favorite: 1, reply: 2 }", "{ reserve: 3 }"))).not.toBe(one);
});

test("overrides replace single weights and parameters, the last one winning", () => {
  const base = parseWeights(yaml("{ favorite: 1, report: -3 }", "{ reserve: 3 }"), "w");
  const effective = effectiveWeights(
    base,
    { weights: { favorite: 2 }, params: { heavy_limit: 100 } },
    { weights: { favorite: 4, report: 0 } },
  );
  expect(effective.heads.map(({ head, weight }) => [head.name, weight])).toEqual([["favorite", 4]]);
  expect(effective.params).toEqual({ ...DEFAULT_PARAMS, reserve: 3, heavy_limit: 100 });
  expect([effective.positiveSum, effective.negativeSum]).toEqual([4, 0]);
  expect(effectiveWeights(base).heads.map(({ weight }) => weight)).toEqual([1, -3]);
});

test("equal effective weights have equal checksums, however they came about", () => {
  const one = parseWeights(yaml("{ favorite: 1 }"), "w");
  const two = parseWeights(yaml("{ favorite: 2, reply: 0 }"), "w");
  const sum = effectiveWeights(one, { weights: { favorite: 2 } }).checksum;
  expect(effectiveWeights(two).checksum).toBe(sum);
  expect(effectiveWeights(one).checksum).not.toBe(sum);
});

test("an override that is not usable is refused by pointer", () => {
  const base = parseWeights(yaml("{ favorite: 1 }"), "w");
  expect(() => effectiveWeights(base, { weights: { report: 5 }, params: { reserve: -1 } })).toThrow(
    /\/weights\/report must be ≤ 0.*\/params\/reserve must be in/,
  );
});

test("effective weights written as a text read back as the same version", async () => {
  const effective = effectiveWeights(await loadPreset("x-2026"), {
    weights: { favorite: 0, reply: 7.25 },
    params: { reserve: 4 },
  });
  const read = parseWeights(weightsText(effective), "log");
  expect(read.checksum).toBe(effective.checksum);
  expect(effectiveWeights(read)).toEqual(effective);
});
