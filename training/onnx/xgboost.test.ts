import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { onnxSession } from "../graph/run-onnx.ts";
import { treesToOnnx } from "./tree-ensemble.ts";
import { makeXgboostCases, pythonWithXgboost, type XgboostCases } from "./xgboost.fixture.ts";
import { isXgboostJson, readXgboost } from "./xgboost-json.ts";

type Heads = Parameters<typeof treesToOnnx>[1];
const CLICK: Heads = [{ name: "click", kind: "binary" }];
const DWELL: Heads = [{ name: "dwell_seconds", kind: "continuous" }];
const binary = (...names: string[]): Heads => names.map((name) => ({ name, kind: "binary" }));
const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));

async function outputs(model: Uint8Array, rows: Float32Array, d: number): Promise<Float32Array> {
  const session = await onnxSession(model, 1);
  try {
    const { outputs } = await session.run({
      features: { data: rows, shape: [rows.length / d, d] },
    });
    return outputs as Float32Array;
  } finally {
    await session.release();
  }
}

const F = Math.fround;
/**
 * Two trees for output 0: x0 < 0.1 (missing right) → 1, else x1 < −2 (missing left) → 2 or 4; and a tree without a split.
 * One tree for output 1.
 */
const savedTree = (more: object) => ({ tree_param: { size_leaf_vector: "0" }, ...more });
const saved = (learner: object = {}, model: object = {}) => ({
  learner: {
    learner_model_param: { base_score: "5E-1", num_class: "0", num_feature: "2", num_target: "2" },
    objective: { name: "reg:squarederror" },
    gradient_booster: {
      name: "gbtree",
      model: {
        tree_info: [0, 1, 0],
        trees: [
          savedTree({
            left_children: [1, -1, 3, -1, -1],
            right_children: [2, -1, 4, -1, -1],
            split_indices: [0, 0, 1, 0, 0],
            split_conditions: [0.1, 1, -2, 2, 4],
            default_left: [0, 0, 1, 0, 0],
          }),
          savedTree({
            left_children: [1, -1, -1],
            right_children: [2, -1, -1],
            split_indices: [1, 0, 0],
            split_conditions: [1.5, -10, 10],
            default_left: [true, false, false],
          }),
          savedTree({
            left_children: [-1],
            right_children: [-1],
            split_indices: [0],
            split_conditions: [0.25],
            default_left: [0],
          }),
        ],
        ...model,
      },
    },
    ...learner,
  },
});
const AMOUNTS: Heads = [
  { name: "dwell_seconds", kind: "continuous" },
  { name: "click_dwell_seconds", kind: "continuous" },
];
const request = (json: unknown, more: object = {}) => ({
  json,
  features: ["x0", "x1"],
  heads: ["dwell_seconds", "click_dwell_seconds"],
  ...more,
});
const NAN = Number.NaN;

test("trees made by hand give the sums of their leaves: below goes left, equal goes right, missing its own way", async () => {
  const model = treesToOnnx(readXgboost(request(saved())), AMOUNTS);
  // The last three: the float32 next below the threshold, the threshold itself, and missing values.
  const rows: [number, number, number, number][] = [
    [0, 0, 1, -10],
    [1, -3, 2, -10],
    [1, -2, 4, -10],
    [1, 1.5, 4, 10],
    [0.09999999403953552, 9, 1, 10],
    [F(0.1), 9, 4, 10],
    [NAN, NAN, 2, -10],
    [NAN, 0, 4, -10],
  ];
  const got = await outputs(model, Float32Array.from(rows.flatMap((row) => row.slice(0, 2))), 2);
  expect([...got]).toEqual(rows.flatMap(([, , first, second]) => [first + 0.75, second + 0.5]));
});

test("a dump of the same trees gives the same, by name or by number of the feature", async () => {
  const leaf = (nodeid: number, leaf: number) => ({ nodeid, leaf });
  const dump = (names: readonly [string, string]) => [
    {
      nodeid: 0,
      split: names[0],
      split_condition: 0.1,
      yes: 1,
      no: 2,
      missing: 2,
      children: [
        leaf(1, 1),
        {
          nodeid: 2,
          split: names[1],
          split_condition: -2,
          yes: 5,
          no: 6,
          missing: 5,
          children: [leaf(5, 2), leaf(6, 4)],
        },
      ],
    },
    {
      nodeid: 0,
      split: names[1],
      split_condition: 1.5,
      yes: 1,
      no: 2,
      missing: 1,
      children: [leaf(1, -10), leaf(2, 10)],
    },
    leaf(0, 0.25),
    leaf(0, 0),
  ];
  const rows = Float32Array.of(0, 0, 1, -3, 1, -2, 1, 1.5, F(0.1), 9, NAN, NAN, NAN, 0);
  const expected = await outputs(treesToOnnx(readXgboost(request(saved())), AMOUNTS), rows, 2);
  for (const names of [
    ["x0", "x1"],
    ["f0", "f1"],
  ] as const) {
    const said = { objective: "reg:squarederror", baseScore: 0.5 };
    const model = treesToOnnx(readXgboost(request(dump(names), said)), AMOUNTS);
    expect(await outputs(model, rows, 2)).toEqual(expected);
  }
  expect(() => readXgboost(request(dump(["x0", "x1"])))).toThrow(/--objective and --base-score/);
  expect(() =>
    readXgboost(request(dump(["x0", "age"]), { objective: "reg:squarederror", baseScore: 0 })),
  ).toThrow(/splits on age/);
});

test("nodes that pruning left behind count for nothing", async () => {
  const json = saved(
    {
      learner_model_param: { base_score: "0", num_class: "0", num_feature: "2" },
    },
    {
      tree_info: [0],
      trees: [
        savedTree({
          left_children: [1, -1, -1, -1, -1],
          right_children: [2, -1, -1, -1, -1],
          split_indices: [0, 0, 0, 0, 0],
          split_conditions: [0, 1, 2, 100, 200],
          default_left: [0, 0, 0, 0, 0],
        }),
      ],
    },
  );
  const model = treesToOnnx(readXgboost(request(json, { heads: ["dwell_seconds"] })), DWELL);
  expect([...(await outputs(model, Float32Array.of(-1, 0, 1, 0), 2))]).toEqual([1, 2]);
});

const with_ = (part: object) => ({ learner: { ...saved().learner, ...part } });
test.each([
  ["a linear booster", with_({ gradient_booster: { name: "gblinear" } }), /gblinear has no trees/],
  ["an objective of ranks", with_({ objective: { name: "rank:ndcg" } }), /rank:ndcg gives neither/],
  [
    "another number of features",
    with_({ learner_model_param: { base_score: "0", num_feature: "3", num_target: "2" } }),
    /has 3 features, --features lists 2/,
  ],
  ["features of other names", with_({ feature_names: ["x0", "age"] }), /feature 1 is age/],
  [
    "categorical splits",
    saved(
      {},
      {
        tree_info: [0],
        trees: [
          savedTree({
            left_children: [1, -1, -1],
            right_children: [2, -1, -1],
            split_indices: [0, 0, 0],
            split_conditions: [0, 1, 2],
            default_left: [0, 0, 0],
            split_type: [1, 0, 0],
          }),
        ],
      },
    ),
    /splits on categories/,
  ],
  [
    "a child that is not there",
    saved(
      {},
      {
        tree_info: [0],
        trees: [
          savedTree({
            left_children: [1, -1],
            right_children: [7, -1],
            split_indices: [0, 0],
            split_conditions: [0, 1],
            default_left: [0, 0],
          }),
        ],
      },
    ),
    /tree 0: node 0 has no child of its own 7/,
  ],
  [
    "raw logits of an early version",
    { version: [1, 4, 0], learner: { ...saved().learner, objective: { name: "binary:logitraw" } } },
    /another base score before version 1.7/,
  ],
  ["something else in JSON", { learner: 3 }, /learner/],
])("%s is refused with the reason", (_, json, reason) => {
  expect(() => readXgboost(request(json))).toThrow(reason);
});

test("trees of other outputs than the heads are refused", () => {
  const ensemble = readXgboost(request(saved()));
  expect(() => treesToOnnx(ensemble, DWELL)).toThrow(/give 2 outputs, --heads names 1/);
  expect(() => treesToOnnx({ ...ensemble, link: "logistic" }, AMOUNTS)).toThrow(
    /probabilities, which dwell_seconds, click_dwell_seconds is not/,
  );
  expect(isXgboostJson(saved()) && isXgboostJson([])).toBe(true);
  expect(isXgboostJson({ booster: 1 }) || isXgboostJson(null)).toBe(false);
});

const python = pythonWithXgboost();
const WHY = "needs a Python with xgboost; on Debian: apt-get install python3-xgboost";
describe.skipIf(python === undefined)(
  `against XGBoost itself${python === undefined ? ` (skipped: ${WHY})` : ""}`,
  () => {
    let cases: XgboostCases;
    beforeAll(() => {
      cases = makeXgboostCases(python as string);
    });
    afterAll(() => cases.remove());
    const features = Array.from({ length: 6 }, (_, i) => `x${i}`);

    const CASES: [string, Heads, (z: number) => number][] = [
      ["logistic", CLICK, sigmoid],
      ["exact", CLICK, sigmoid],
      ["logitraw", CLICK, (z) => z],
      ["squared", DWELL, (y) => y],
      ["poisson", DWELL, (y) => y],
      ["softprob", binary("click", "favorite", "reply"), sigmoid],
      ["targets", binary("click", "favorite"), sigmoid],
      ["dart", CLICK, sigmoid],
      ["forest", CLICK, sigmoid],
    ];
    const same = (got: Float32Array, expected: Float32Array, link: (z: number) => number): void => {
      expect(got).toHaveLength(expected.length);
      let worst = 0;
      got.forEach((z, i) => {
        const want = expected[i] as number;
        worst = Math.max(worst, Math.abs(link(z) - want) / Math.max(1, Math.abs(want)));
      });
      expect(worst).toBeLessThan(1e-5);
    };

    test.each(CASES)("%s: its predictions to 1e-5", async (name, heads, link) => {
      const names = heads.map((head) => head.name);
      const ensemble = readXgboost({ json: cases.model(name), features, heads: names });
      same(
        await outputs(treesToOnnx(ensemble, heads), cases.rows, 6),
        cases.predictions(name),
        link,
      );
    });

    test("the rows hit thresholds exactly, so that < and ≤ would differ", () => {
      const { trees } = readXgboost({ json: cases.model("logistic"), features, heads: ["click"] });
      const values = new Set(cases.rows);
      const hits = trees.flatMap(({ left, threshold }) =>
        threshold.filter((value, i) => left[i] !== -1 && values.has(F(value))),
      );
      expect(hits.length).toBeGreaterThan(100);
    });

    test.each(["logistic", "exact"])("the dump of %s: its predictions to 1e-5", async (name) => {
      const ensemble = readXgboost({
        json: cases.dump(name),
        features,
        heads: ["click"],
        objective: "binary:logistic",
        baseScore: name === "logistic" ? 0.3 : 0.5,
      });
      same(
        await outputs(treesToOnnx(ensemble, CLICK), cases.rows, 6),
        cases.predictions(name),
        sigmoid,
      );
    });
  },
);
