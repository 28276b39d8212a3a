import { expect, test } from "vitest";
import type { OnnxModelWriter } from "../graph/onnx-writer.ts";
import { type Declared, ELEMENT, foreignModel, writeDense } from "./foreign-models.fixture.ts";
import { probeOnnx } from "./probe-onnx.ts";

const declared = (name: string, columns: number, type: number = ELEMENT.float32): Declared => ({
  name,
  type,
  shape: ["n", columns],
});
const SIGNATURE: Parameters<typeof probeOnnx>[1] = {
  features: ["a", "b"],
  ids: [],
  heads: [{ name: "click", kind: "binary" }],
};
/** Missing features as 0, then what `write` makes of `x` for `z`. */
const model = (write: (writer: OnnxModelWriter) => void, inputs = [declared("features", 2)]) =>
  foreignModel(inputs, [declared("outputs", 1)], (writer) => {
    writer.node("IsNaN", ["features"], ["missing"]);
    writer.node("Where", ["missing", writer.constant(Float32Array.of(0), [1]), "features"], ["x"]);
    write(writer);
  });
const dense = (writer: OnnxModelWriter, to: string, weights = [1, -1]): void =>
  writeDense(writer, ["x", to], weights, [0.5]);

test("a model with a finite output for every row, with and without features, passes", async () => {
  await probeOnnx(
    model((writer) => dense(writer, "outputs")),
    SIGNATURE,
  );
});

const refusals: [string, Uint8Array, Partial<typeof SIGNATURE>, RegExp][] = [
  [
    "gives NaN for a missing feature",
    foreignModel([declared("features", 2)], [declared("outputs", 1)], (writer) =>
      writeDense(writer, ["features", "outputs"], [1, 1], [0]),
    ),
    {},
    /its output for click is NaN with features missing; say with --missing/,
  ],
  [
    "overflows on large values",
    model((writer) => {
      dense(writer, "z");
      writer.node("Exp", ["z"], ["outputs"]);
    }),
    {},
    /its output for click is Infinity with every feature present/,
  ],
  [
    "takes more features",
    model((writer) => dense(writer, "outputs")),
    { features: ["a", "b", "c"] },
    /does not run on features \[64, 3\]/,
  ],
  [
    "gives fewer outputs than heads",
    model((writer) => dense(writer, "outputs")),
    {
      heads: [
        { name: "click", kind: "binary" },
        { name: "reply", kind: "binary" },
      ],
    },
    /gives 64 values for 64 rows and 2 heads/,
  ],
  [
    "subtracts the batch's mean",
    model((writer) => {
      dense(writer, "z", [1e-3, 1e-3]);
      writer.node("ReduceMean", ["z", writer.int64s([0])], ["mean"], { keepdims: 1 });
      writer.node("Sub", ["z", "mean"], ["outputs"]);
    }),
    {},
    /depends on the rows beside it/,
  ],
  [
    "looks ids up in too small a table",
    model(
      (writer) => {
        const table = writer.constant(new Float32Array(8), [8, 1]);
        writer.node("Gather", [table, "ids"], ["rows"]);
        writer.node("ReduceSum", ["rows", writer.int64s([1])], ["sum"], { keepdims: 0 });
        dense(writer, "z");
        writer.node("Add", ["z", "sum"], ["outputs"]);
      },
      [declared("features", 2), declared("ids", 1, ELEMENT.int32)],
    ),
    { ids: [{ name: "author", buckets: 9 }] },
    /does not run .*out of/,
  ],
];
test.each(refusals)(
  "a model that %s is refused with the reason",
  async (_, bytes, more, reason) => {
    await expect(probeOnnx(bytes, { ...SIGNATURE, ...more })).rejects.toMatchObject({
      code: "BAD_BUNDLE",
      message: expect.stringMatching(reason),
    });
  },
);
