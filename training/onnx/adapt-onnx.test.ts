import { expect, test } from "vitest";
import type { OnnxModelWriter } from "../graph/onnx-writer.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import { type AdaptRequest, adaptOnnx } from "./adapt-onnx.ts";
import {
  branchingModel,
  type Declared,
  denseModel,
  ELEMENT,
  foreignModel,
  withMapsAsOutput,
  writeDense,
} from "./foreign-models.fixture.ts";

const CLICK: AdaptRequest["heads"] = [{ name: "click", kind: "binary" }];
const TWO: AdaptRequest["heads"] = [...CLICK, { name: "favorite", kind: "binary" }];
const MIXED: AdaptRequest["heads"] = [...CLICK, { name: "dwell_seconds", kind: "continuous" }];
const ROWS = Float32Array.of(0, 0, 1, 2, -3, 0.25);
const z = (row: number): number =>
  2 * (ROWS[row * 2] as number) - (ROWS[row * 2 + 1] as number) + 0.5;
const { float32, float64, int64, int32, string } = ELEMENT;
const matrix = (name: string, columns: number | "n", type: number = float32): Declared => ({
  name,
  type,
  shape: ["n", columns],
});

const adapted = (model: Uint8Array, more: Partial<AdaptRequest> = {}) =>
  adaptOnnx({ model, d: 2, k: 0, heads: CLICK, ...more });

async function run(model: Uint8Array, x = ROWS, ids = new Int32Array(0)): Promise<number[]> {
  const n = x.length / 2;
  const session = await onnxSession(model, 1);
  try {
    const { outputs } = await session.run({
      features: { data: x, shape: [n, 2] },
      ids: { data: ids, shape: [n, ids.length / n] },
    });
    return [...(outputs as Float32Array)];
  } finally {
    await session.release();
  }
}
const close = (got: readonly number[], expected: readonly number[]): void => {
  expect(got).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(got[i]).toBeCloseTo(value, 5);
};
const Z = [0, 1, 2].map(z);

test("a model of other names gives the same under the bundle's", async () => {
  close(await run(await adapted(denseModel())), Z);
});

test.each([
  [
    "its input is called outputs, its output features",
    { input: matrix("outputs", 2), output: matrix("features", 1) },
  ],
  [
    "they are called as the bundle's already",
    { input: matrix("features", 2), output: matrix("outputs", 1) },
  ],
  ["no shape is declared", { input: matrix("x", "n"), output: { name: "y", type: float32 } }],
])("names and shapes that are in the way are not: %s", async (_, options) => {
  close(await run(await adapted(denseModel(options))), Z);
});

test("probabilities become logits, and are asked about where they could be either", async () => {
  const model = denseModel({ probability: true });
  close(await run(await adapted(model, { gives: "probabilities" })), Z);
  await expect(adapted(model)).rejects.toMatchObject({
    code: "BAD_ARGUMENT",
    message: expect.stringContaining("--gives probabilities or --gives logits"),
  });
  const taken = await run(await adapted(model, { gives: "logits" }));
  close(
    taken,
    Z.map((value) => 1 / (1 + Math.exp(-value))),
  );
});

test("probabilities of 0 and 1 become finite logits", async () => {
  const model = foreignModel([matrix("x", 2)], [matrix("p", 1)], (writer) => {
    writeDense(writer, ["x", "z"], [1e4, 0], [0]);
    writer.node("Sigmoid", ["z"], ["p"]);
  });
  const [low, high] = await run(
    await adapted(model, { gives: "probabilities" }),
    Float32Array.of(-1, 0, 1, 0),
  );
  expect(low).toBeCloseTo(Math.log(1e-7), 3);
  expect(high as number).toBeGreaterThan(15);
  expect(high as number).toBeLessThan(17);
});

test("of probabilities and amounts in one matrix only the probabilities become logits", async () => {
  const model = foreignModel([matrix("x", 2)], [matrix("y", 2)], (writer) => {
    writeDense(writer, ["x", "z"], [2, -1], [0.5]);
    writer.node("Sigmoid", ["z"], ["p"]);
    writeDense(writer, ["x", "seconds"], [0, 1], [1e6]);
    writer.node("Concat", ["p", "seconds"], ["y"], { axis: 1 });
  });
  const got = await run(await adapted(model, { heads: MIXED, gives: "probabilities" }));
  close(
    got,
    [0, 1, 2].flatMap((row) => [z(row), 1e6 + (ROWS[row * 2 + 1] as number)]),
  );
});

test("one output a head, of shape [n] or [n, 1], makes one matrix, in the order that is asked for", async () => {
  const model = foreignModel(
    [matrix("x", 2)],
    [
      matrix("a", 1),
      { name: "b", type: float32, shape: ["n"] },
      { name: "label", type: int64, shape: ["n"] },
    ],
    (writer) => {
      writeDense(writer, ["x", "a"], [2, -1], [0.5]);
      writer.node("Neg", ["a"], ["minus"]);
      writer.node("Reshape", ["minus", writer.int64s([-1])], ["b"]);
      writer.node("Cast", ["b"], ["label"], { to: int64 });
    },
  );
  close(
    await run(await adapted(model, { heads: TWO })),
    Z.flatMap((value) => [value, -value]),
  );
  close(
    await run(await adapted(model, { heads: TWO, outputs: ["b", "a"] })),
    Z.flatMap((value) => [-value, value]),
  );
  close(
    await run(await adapted(model, { outputs: ["b"] })),
    Z.map((value) => -value),
  );
  await expect(adapted(model)).rejects.toThrow(/gives 2 columns \(a: 1, b: 1\), --heads names 1/);
  await expect(adapted(model, { outputs: ["c"] })).rejects.toThrow(
    /no output c; it has a \(float32/,
  );
  await expect(adapted(model, { outputs: ["label"] })).rejects.toThrow(
    /label \(int64 \[n\]\) is no matrix of floats/,
  );
});

/** A classifier as converters write it: a label, and probabilities of both classes. */
const writeClassifier = (writer: OnnxModelWriter, sign: number, name: string): void => {
  writeDense(writer, ["x", `${name}_z`], [2 * sign, -sign], [0.5 * sign]);
  writer.node("Neg", [`${name}_z`], [`${name}_not`]);
  writer.node("Concat", [`${name}_not`, `${name}_z`], [`${name}_both`], { axis: 1 });
  // Softmax of (−z/2, z/2) is (1 − σ(z), σ(z)).
  writer.node(
    "Mul",
    [`${name}_both`, writer.constant(Float32Array.of(0.5), [1])],
    [`${name}_half`],
  );
  writer.node("Softmax", [`${name}_half`], [name], { axis: 1 });
};

test("of a classifier's two columns the second is the probability, for each head one classifier", async () => {
  const one = foreignModel([matrix("x", 2)], [matrix("p", 2)], (writer) =>
    writeClassifier(writer, 1, "p"),
  );
  close(await run(await adapted(one)), Z);
  const two = foreignModel([matrix("x", 2)], [matrix("p", 2), matrix("q", 2)], (writer) => {
    writeClassifier(writer, 1, "p");
    writeClassifier(writer, -1, "q");
  });
  close(
    await run(await adapted(two, { heads: TWO })),
    Z.flatMap((value) => [value, -value]),
  );
});

test("a classifier whose probabilities come as maps is read before they do", async () => {
  const model = foreignModel([matrix("x", 2)], [{ name: "maps", type: float32 }], (writer) => {
    writeClassifier(writer, 1, "p");
    writer.node("ZipMap", ["p"], ["maps"], { classlabels_int64s: [0, 1] }, "ai.onnx.ml");
  });
  close(await run(await adapted(withMapsAsOutput(model, "maps"))), Z);
});

test("ids reach the model, as the integers that it takes", async () => {
  for (const type of [int32, int64]) {
    const model = foreignModel(
      [matrix("x", 2), matrix("who", 2, type)],
      [matrix("y", 1)],
      (writer) => {
        writeDense(writer, ["x", "z"], [2, -1], [0.5]);
        const table = writer.constant(Float32Array.of(0, 10, 20, 30), [4, 1]);
        writer.node("Gather", [table, "who"], ["rows"]);
        writer.node("ReduceSum", ["rows", writer.int64s([1])], ["sum"], { keepdims: 0 });
        writer.node("Add", ["z", "sum"], ["y"]);
      },
    );
    const got = await run(await adapted(model, { k: 2 }), ROWS, Int32Array.of(0, 0, 1, 2, 3, 3));
    close(got, [z(0), z(1) + 30, z(2) + 60]);
    await expect(adapted(model)).rejects.toThrow(/name its ids with --ids/);
  }
});

test("a model of doubles is fed and read in doubles", async () => {
  const model = foreignModel([matrix("x", 2, float64)], [matrix("y", 1, float64)], (writer) => {
    writer.node("Cast", ["x"], ["single"], { to: float32 });
    writeDense(writer, ["single", "z"], [2, -1], [0.5]);
    writer.node("Cast", ["z"], ["y"], { to: float64 });
  });
  close(await run(await adapted(model)), Z);
});

test("a missing feature reaches the model as NaN, or as what is said to stand for it", async () => {
  const x = Float32Array.of(Number.NaN, 1);
  expect(await run(await adapted(denseModel()), x)).toEqual([Number.NaN]);
  close(await run(await adapted(denseModel(), { missing: -1 }), x), [-2 - 1 + 0.5]);
});

test("branches see the renamed values outside them", async () => {
  close(
    await run(await adapted(branchingModel())),
    Z.map((value) => value * 3),
  );
});

test.each<[string, Uint8Array, Partial<AdaptRequest>, RegExp]>([
  ["bytes that are no ONNX file", Uint8Array.of(1, 2, 3), {}, /rotobuf/],
  [
    "another number of columns",
    denseModel(),
    { d: 3 },
    /x \(float32 \[n, 2\]\) has 2 columns, --features names 3/,
  ],
  [
    "a fixed number of rows",
    denseModel({ input: { name: "x", type: float32, shape: [1, 2] } }),
    {},
    /takes 1 rows only/,
  ],
  [
    "an input of one axis",
    foreignModel(
      [{ name: "x", type: float32, shape: ["n"] }],
      [{ name: "y", type: float32 }],
      (writer) => writer.node("Neg", ["x"], ["y"]),
    ),
    {},
    /is no matrix \[n, 2\]/,
  ],
  [
    "an input of texts",
    foreignModel(
      [{ name: "t", type: string, shape: ["n", 2] }],
      [{ name: "y", type: string }],
      (writer) => writer.node("Identity", ["t"], ["y"]),
    ),
    {},
    /needs one input of floats for the features; it has t \(string/,
  ],
  [
    "two inputs of floats",
    foreignModel([matrix("a", 2), matrix("b", 2)], [matrix("y", 2)], (writer) =>
      writer.node("Add", ["a", "b"], ["y"]),
    ),
    {},
    /needs one input of floats/,
  ],
  [
    "no ids where they are named",
    denseModel(),
    { k: 1 },
    /needs one input of integers for the ids/,
  ],
  [
    "one row for all",
    foreignModel([matrix("x", 2)], [{ name: "y", type: float32 }], (writer) =>
      writer.node("ReduceSum", ["x", writer.int64s([0])], ["y"], { keepdims: 1 }),
    ),
    {},
    /is \[1, 2\] for 64 rows, not a row each/,
  ],
  [
    "labels only",
    foreignModel([matrix("x", 2)], [matrix("y", 2, int64)], (writer) =>
      writer.node("Cast", ["x"], ["y"], { to: int64 }),
    ),
    {},
    /no output of floats; it has y \(int64/,
  ],
  [
    "more columns than heads",
    denseModel(),
    { heads: TWO },
    /gives 1 columns \(score: 1\), --heads names 2/,
  ],
  [
    "an old opset",
    foreignModel([matrix("x", 2)], [matrix("y", 2)], (writer) => writer.node("Neg", ["x"], ["y"]), {
      opsetImport: [{ domain: "", version: 8 }],
    }),
    {},
    /ONNX opset 8; convert it to opset 9/,
  ],
])("a model with %s is refused with the reason", async (_, model, more, reason) => {
  await expect(adapted(model, more)).rejects.toMatchObject({
    code: "BAD_BUNDLE",
    message: expect.stringMatching(reason),
  });
});
