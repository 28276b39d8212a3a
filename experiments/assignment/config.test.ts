import { describe, expect, test } from "vitest";
import { RoostError } from "../../errors.ts";
import { experimentFileProblems, loadExperiments, NO_EXPERIMENTS } from "./config.ts";
import type { Overridable } from "./parameter-table.ts";

const KNOWN: Overridable = {
  parameters: [
    { name: "factor", kind: "number", min: 0, max: 1 },
    { name: "heavyLimit", kind: "integer", min: 1, max: 500 },
    { name: "offset", kind: "boolean" },
    { name: "blend", kind: "choice", choices: ["sum", "product"] },
  ],
  heads: ["favorite", "reply"],
};

const arms = (parameters: Record<string, unknown> = {}, weights: Record<string, unknown> = {}) => [
  { key: "control" },
  { key: "treatment", parameters, weights },
];
const experiment = (key: string, fields: Record<string, unknown> = {}) => ({
  key,
  status: "running",
  variations: arms(),
  ...fields,
});
const layer = (id: string, parameters: string[], fields: Record<string, unknown> = {}) => ({
  id,
  parameters,
  ...fields,
});
const problems = (file: unknown): string[] =>
  experimentFileProblems(file, KNOWN).map((problem) => `${problem.pointer} ${problem.message}`);
const only = (...experiments: unknown[]): string[] => problems({ experiments });

describe("an experiment file is refused", () => {
  test("with every problem at once, those of the schema and those between experiments", () => {
    const file = {
      layer: [],
      layers: [layer("l", ["factor", "unheard"])],
      experiments: [
        experiment("a", { colour: 1, hash: 2 }),
        experiment("b", { coverage: 2, variations: [{ key: "one" }] }),
        experiment("c", { variations: arms({ factor: 3 }) }),
        experiment("c", { parentConditions: [{ id: "nobody", condition: {} }] }),
      ],
    };
    const message = /(?=.*\/layer )(?=.*\/experiments\/0\/colour)/;
    expect(problems(file).sort()).toEqual([
      "/experiments/0/colour is not a known setting",
      "/experiments/0/hash is not a known setting",
      "/experiments/1/coverage Too big: expected number to be <=1",
      "/experiments/1/variations needs at least 2 variations",
      "/experiments/2/variations factor is owned by layer l",
      "/experiments/2/variations/1/parameters/factor must lie in 0 … 1",
      "/experiments/3/key c is used twice",
      "/experiments/3/parentConditions/0/id there is no experiment nobody",
      "/layer is not a known setting",
      "/layers/0/parameters/1 unheard is not a known parameter or head weight",
    ]);
    expect(() => loadExperiments(file, KNOWN)).toThrow(message);
    try {
      loadExperiments(file, KNOWN);
    } catch (error) {
      expect(error).toBeInstanceOf(RoostError);
      expect((error as RoostError).code).toBe("BAD_CONFIG");
    }
  });

  test("when it is no object, or its lists are none", () => {
    expect(problems(null)[0]).toMatch(/^ Invalid input/);
    expect(problems({ experiments: {} })[0]).toMatch(/^\/experiments Invalid input/);
    expect(problems({ layers: [7] })[0]).toMatch(/^\/layers\/0 Invalid input/);
  });

  test("for arms: repeated keys, weights that do not sum to 1 or are half given", () => {
    const weighted = (...weights: (number | undefined)[]) =>
      only(experiment("a", { variations: weights.map((weight, i) => ({ key: `v${i}`, weight })) }));
    expect(weighted(0.5, 0.5)).toEqual([]);
    expect(weighted(0.3333, 0.3333, 0.3333)).toEqual([]);
    expect(weighted(0.5, 0.4)).toEqual([
      "/experiments/0/variations the weights sum to 0.9, must sum to 1",
    ]);
    expect(weighted(0.5, undefined)).toEqual([
      "/experiments/0/variations give every variation a weight, or none",
    ]);
    expect(only(experiment("a", { variations: [{ key: "x" }, { key: "x" }] }))).toEqual([
      "/experiments/0/variations/1/key x is used twice",
    ]);
  });

  test("for ranges that overlap, do not match the arms, or come with coverage or weights", () => {
    const ranged = (ranges: number[][], fields = {}) =>
      only(experiment("a", { ranges, ...fields }));
    expect(
      ranged([
        [0, 0.2],
        [0.2, 1],
      ]),
    ).toEqual([]);
    expect(
      ranged([
        [0, 0.3],
        [0.2, 1],
      ]),
    ).toEqual(["/experiments/0/ranges/1 overlaps range 0"]);
    expect(ranged([[0, 1]])).toEqual(["/experiments/0/ranges has 1 ranges for 2 variations"]);
    expect(
      ranged([
        [0.5, 0.2],
        [0.6, 1],
      ]),
    ).toEqual(["/experiments/0/ranges/0 must start below its end"]);
    expect(
      ranged(
        [
          [0, 0.2],
          [0.2, 1],
        ],
        { coverage: 0.5 },
      ),
    ).toEqual(["/experiments/0/ranges replaces coverage and weights; leave those out"]);
  });

  test("for overrides of unknown names, wrong types and values out of range", () => {
    const variations = arms(
      { factor: "1", heavyLimit: 2.5, offset: 1, blend: "mean", gamma: 1 },
      { favorite: 2, clap: 1 },
    );
    expect(only(experiment("a", { variations }))).toEqual([
      "/experiments/0/variations/1/parameters/factor must be a finite number",
      "/experiments/0/variations/1/parameters/heavyLimit must be an integer",
      "/experiments/0/variations/1/parameters/offset must be true or false",
      "/experiments/0/variations/1/parameters/blend must be one of sum, product",
      "/experiments/0/variations/1/parameters/gamma is not a known parameter",
      "/experiments/0/variations/1/weights/clap is not a known head",
    ]);
    const infinite = arms({}, { favorite: Number.POSITIVE_INFINITY });
    expect(only(experiment("a", { variations: infinite }))).toHaveLength(1);
  });

  test("for sticky settings that would do nothing or exclude everyone, and an unknown force", () => {
    expect(only(experiment("a", { fallbackAttribute: "device", bucketVersion: 2 }))).toEqual([
      "/experiments/0/fallbackAttribute has no effect without sticky: true",
      "/experiments/0/bucketVersion has no effect without sticky: true",
    ]);
    expect(only(experiment("a", { sticky: true, minBucketVersion: 1 }))).toEqual([
      "/experiments/0/minBucketVersion is above bucketVersion 0: would exclude new units too",
    ]);
    expect(only(experiment("a", { force: "winner" }))).toEqual([
      "/experiments/0/force there is no variation winner",
    ]);
  });

  test("for conditions that evaluation would pass over in silence", () => {
    const condition = {
      a: { $regx: "x" },
      b: { $regex: "(" },
      c: { $in: "JP" },
      d: { $not: { $bad: 1 } },
      e: { $elemMatch: { f: { $worse: 1 } } },
      $or: [{ g: { $notInGroup: "vips" } }, 3],
      $not: [],
      h: { ok: 1 },
      i: { $elemMatch: { $eq: 1 }, $size: { $gt: 2 } },
    };
    expect(only(experiment("a", { condition }))).toEqual([
      "/experiments/0/condition/a/$regx is not a known operator",
      "/experiments/0/condition/b/$regex is not a valid pattern",
      "/experiments/0/condition/c/$in must be a list",
      "/experiments/0/condition/d/$not/$bad is not a known operator",
      "/experiments/0/condition/e/$elemMatch/f/$worse is not a known operator",
      "/experiments/0/condition/$or/0/g/$notInGroup is not a known operator",
      "/experiments/0/condition/$or/1 must be a condition",
      "/experiments/0/condition/$not must be a condition",
    ]);
  });

  test("for prerequisites that go round in a circle", () => {
    const parent = (id: string) => ({ parentConditions: [{ id, condition: { value: "x" } }] });
    expect(
      only(
        experiment("a", parent("c")),
        experiment("b", parent("a")),
        experiment("c", parent("b")),
      ),
    ).toEqual([
      "/experiments/0/parentConditions/0/id c depends on a itself",
      "/experiments/1/parentConditions/0/id a depends on b itself",
      "/experiments/2/parentConditions/0/id b depends on c itself",
    ]);
    expect(only(experiment("a", parent("a")))).toHaveLength(1);
    // a leads into a circle that it is not part of: only its members are named.
    expect(
      only(
        experiment("a", parent("b")),
        experiment("b", parent("c")),
        experiment("c", parent("b")),
      ),
    ).toHaveLength(2);
    expect(only(experiment("a", parent("b")), experiment("b"))).toEqual([]);
  });
});

describe("layers are refused", () => {
  const inLayer = (id: string, ranges: number[][]) => ({ layer: { id, ranges } });
  const overriding = { variations: arms({ factor: 0.5 }, { reply: 3 }) };

  test("when ranges of live experiments overlap; stopped ones free theirs", () => {
    const file = (status: string) => ({
      layers: [layer("l", ["factor", "weights"])],
      experiments: [
        experiment("a", { ...inLayer("l", [[0, 0.5]]), status }),
        experiment(
          "b",
          inLayer("l", [
            [0.5, 0.6],
            [0.4, 0.45],
          ]),
        ),
      ],
    });
    expect(problems(file("running"))).toEqual([
      "/experiments/1/layer/ranges/1 overlaps 0 … 0.5 of experiment a in layer l",
    ]);
    expect(problems(file("draft"))).toHaveLength(1);
    expect(problems(file("stopped"))).toEqual([]);
  });

  test("when they do not exist", () => {
    expect(only(experiment("a", inLayer("nowhere", [[0, 1]])))).toEqual([
      "/experiments/0/layer/id there is no layer nowhere",
    ]);
  });

  test("when an experiment hashes another unit, hashes with version 1 or falls back", () => {
    const fields = {
      hashAttribute: "device",
      hashVersion: 1,
      sticky: true,
      fallbackAttribute: "ip",
    };
    expect(
      problems({
        layers: [layer("l", ["factor"])],
        experiments: [experiment("a", { ...inLayer("l", [[0, 1]]), ...fields })],
      }),
    ).toEqual([
      "/experiments/0/hashVersion must be 2 in a layer: buckets of version 1 are correlated",
      "/experiments/0/hashAttribute must be user_id, the unit of layer l",
      "/experiments/0/fallbackAttribute has no effect in layer l, which needs user_id",
    ]);
    expect(only(experiment("a", { hashVersion: 1 }))).toEqual([]);
  });

  test("when two own one parameter, also through `weights`", () => {
    expect(
      problems({
        layers: [layer("l", ["factor", "weights"]), layer("m", ["weights.reply", "factor"])],
      }),
    ).toEqual([
      "/layers/1/parameters/0 weights.reply is owned by layer l already",
      "/layers/1/parameters/1 factor is owned by layer l already",
    ]);
    expect(problems({ layers: [layer("l", ["factor"]), layer("l", ["offset"])] })).toEqual([
      "/layers/1/id l is used twice",
      "/layers/1/seed is the salt of layer l too; their units would be split alike",
    ]);
  });

  test("when an experiment overrides what its layer does not own, or another layer does", () => {
    expect(
      problems({
        layers: [layer("l", ["factor"]), layer("m", ["weights.reply"])],
        experiments: [experiment("a", { ...inLayer("l", [[0, 1]]), ...overriding })],
      }),
    ).toEqual(["/experiments/0/variations weights.reply is owned by layer m"]);
    expect(
      problems({
        layers: [layer("l", ["factor"])],
        experiments: [experiment("a", { ...inLayer("l", [[0, 1]]), ...overriding })],
      }),
    ).toEqual([
      "/experiments/0/variations weights.reply is not owned by layer l; add it to its parameters",
    ]);
  });

  test("when experiments outside of one layer share a parameter; inside they may", () => {
    const [a, b] = [experiment("a", overriding), experiment("b", overriding)];
    expect(only(a, b)).toEqual([
      "/experiments/1/variations shares factor, weights.reply with experiment a; put both into one layer",
    ]);
    expect(only(a, { ...b, status: "stopped" })).toEqual([]);
    expect(
      problems({
        layers: [layer("l", ["factor", "weights.reply"])],
        experiments: [
          { ...a, ...inLayer("l", [[0, 0.5]]) },
          { ...b, ...inLayer("l", [[0.5, 1]]) },
        ],
      }),
    ).toEqual([]);
  });

  test("when salts coincide: layer and split, two layers, two splits that overlap", () => {
    const layers = [
      layer("l", ["factor"], { seed: "salt" }),
      layer("m", ["offset"], { seed: "salt" }),
    ];
    expect(
      problems({ layers, experiments: [experiment("a", { seed: "salt" }), experiment("salt")] }),
    ).toEqual([
      "/layers/1/seed is the salt of layer l too; their units would be split alike",
      "/experiments/0/seed salt is the salt of layer l; traffic and split must be independent",
      "/experiments/1/seed salt is the salt of layer l; traffic and split must be independent",
      "/experiments/1/seed salt is the salt of experiment a too; their arms would be the same units",
    ]);
    expect(
      problems({
        layers: [layer("l", ["factor"])],
        experiments: [
          experiment("a", { seed: "s", ...inLayer("l", [[0, 0.5]]) }),
          experiment("b", { seed: "s", ...inLayer("l", [[0.5, 1]]) }),
        ],
      }),
    ).toEqual([]);
  });
});

describe("a loaded file", () => {
  const file = {
    layers: [layer("ranking", ["factor", "weights"], { seed: "salt" })],
    experiments: [
      experiment("later", {
        parentConditions: [{ id: "first", condition: { value: "treatment" } }],
      }),
      experiment("first", {
        seed: "split",
        coverage: 0.5,
        layer: { id: "ranking", ranges: [[0, 0.25]] },
        variations: [
          { key: "control", weight: 0.8 },
          { key: "treatment", weight: 0.2, parameters: { factor: 0.5 }, weights: { reply: 9 } },
        ],
      }),
    ],
  };

  test("holds GrowthBook's experiment, the layer as a filter on its salt", () => {
    const { experiments } = loadExperiments(file, KNOWN);
    expect(experiments.map(({ config }) => config.key)).toEqual(["first", "later"]);
    expect(experiments[0]?.experiment).toMatchObject({
      key: "first",
      seed: "split",
      hashVersion: 2,
      hashAttribute: "user_id",
      disableStickyBucketing: true,
      meta: [{ key: "control" }, { key: "treatment" }],
      filters: [{ seed: "salt", ranges: [[0, 0.25]], attribute: "user_id", hashVersion: 2 }],
      ranges: [
        [0, 0.4],
        [0.8, 0.9],
      ],
    });
    expect(experiments[0]?.arms.map(({ propensity }) => propensity)).toEqual([
      expect.closeTo(0.8, 12),
      expect.closeTo(0.2, 12),
    ]);
  });

  test("has a version that follows content, not key order, and changes with any setting", () => {
    const { version } = loadExperiments(file, KNOWN);
    expect(version).toMatch(/^[0-9a-f]{16}$/);
    const { experiments, layers } = file;
    expect(loadExperiments({ experiments, layers }, KNOWN).version).toBe(version);
    const reordered = experiments.map((each) => Object.fromEntries(Object.entries(each).reverse()));
    expect(loadExperiments({ layers, experiments: reordered }, KNOWN).version).toBe(version);
    const overriding = (weights: Record<string, number>) =>
      loadExperiments({ experiments: [experiment("a", { variations: arms({}, weights) })] }, KNOWN)
        .version;
    expect(overriding({ reply: 2, favorite: 1 })).toBe(overriding({ favorite: 1, reply: 2 }));
    expect(overriding({ reply: 2, favorite: 1 })).not.toBe(overriding({ reply: 1, favorite: 2 }));
    const ramped = experiments.map((each, i) => (i === 1 ? { ...each, coverage: 0.6 } : each));
    expect(loadExperiments({ layers, experiments: ramped }, KNOWN).version).not.toBe(version);
    expect(NO_EXPERIMENTS.version).toBe(loadExperiments({}, KNOWN).version);
  });
});
