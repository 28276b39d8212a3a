import { joined, wireField, wireFields, wireVarint } from "../../features/onnx-wire.ts";
import { decodeOnnx, encodeOnnx, type OnnxModel } from "../graph/onnx-proto.ts";
import { OnnxModelWriter } from "../graph/onnx-writer.ts";

/** ONNX element types that our own models do not use. */
export const ELEMENT = { float32: 1, int32: 6, int64: 7, string: 8, float64: 11 } as const;

export interface Declared {
  readonly name: string;
  readonly type: number;
  /** "n" is free. Not given: of no declared shape. */
  readonly shape?: readonly (number | "n")[];
}

/** A model with any inputs and outputs around the nodes that `write` writes. */
export function foreignModel(
  inputs: readonly Declared[],
  outputs: readonly Declared[],
  write: (writer: OnnxModelWriter) => void,
  more: Partial<Pick<OnnxModel, "opsetImport" | "irVersion">> = {},
): Uint8Array {
  const writer = new OnnxModelWriter();
  write(writer);
  const model = decodeOnnx(writer.encode());
  const declared = ({ name, type, shape }: Declared) => ({
    name,
    type: {
      tensorType: {
        elemType: type,
        ...(shape && {
          shape: {
            dim: shape.map((size) => (size === "n" ? { dimParam: "n" } : { dimValue: size })),
          },
        }),
      },
    },
  });
  return encodeOnnx({
    ...model,
    ...more,
    graph: { ...model.graph, input: inputs.map(declared), output: outputs.map(declared) },
  });
}

/** `output` = `input` · weights + bias, weights row-major [d, heads]. */
export function writeDense(
  writer: OnnxModelWriter,
  [input, output]: readonly [string, string],
  weights: readonly number[],
  bias: readonly number[],
): void {
  const product = writer.fresh();
  const d = weights.length / bias.length;
  writer.node(
    "MatMul",
    [input, writer.constant(Float32Array.from(weights), [d, bias.length])],
    [product],
  );
  writer.node("Add", [product, writer.constant(Float32Array.from(bias), [bias.length])], [output]);
}

const X: Declared = { name: "x", type: ELEMENT.float32, shape: ["n", 2] };

/** z = 2·x0 − x1 + 0.5 under foreign names; with `probability`, σ of it. */
export function denseModel(
  options: { input?: Declared; output?: Declared; probability?: boolean } = {},
): Uint8Array {
  const { input = X, output = { name: "score", type: ELEMENT.float32, shape: ["n", 1] } } = options;
  return foreignModel([input], [output], (writer) => {
    if (!options.probability) writeDense(writer, [input.name, output.name], [2, -1], [0.5]);
    else {
      writeDense(writer, [input.name, "features_"], [2, -1], [0.5]);
      writer.node("Sigmoid", ["features_"], [output.name]);
    }
  });
}

const text = (number: number, value: string): Uint8Array =>
  wireField(number, new TextEncoder().encode(value));
const GRAPH_FIELD = 7;

/** The model with fields of its graph, encoded by hand, in place of (`drop`) or beside its own. */
function withGraphFields(
  model: Uint8Array,
  added: readonly Uint8Array[],
  drop: readonly number[] = [],
): Uint8Array {
  return joined(
    [...wireFields(model)].map(({ number, raw, bytes }) =>
      number !== GRAPH_FIELD
        ? raw
        : wireField(
            GRAPH_FIELD,
            joined([
              ...[...wireFields(bytes)]
                .filter((field) => !drop.includes(field.number))
                .map((f) => f.raw),
              ...added,
            ]),
          ),
    ),
  );
}

/** The model with one output, `name`: a sequence of maps from int64 to float, as a ZipMap gives. */
export function withMapsAsOutput(model: Uint8Array, name: string): Uint8Array {
  const float = wireField(1, wireVarint(1, ELEMENT.float32));
  const map = wireField(5, joined([wireVarint(1, ELEMENT.int64), wireField(2, float)]));
  const sequence = wireField(4, wireField(1, map));
  return withGraphFields(
    model,
    [wireField(12, joined([text(1, name), wireField(2, sequence)]))],
    [12],
  );
}

/** y = 3·z in a branch that is taken, z itself in the other; z is of the graph outside. */
export function branchingModel(): Uint8Array {
  const [node, output, attribute] = [1, 12, 5];
  const op = (opType: string, inputs: readonly string[], to: string, ...more: Uint8Array[]) =>
    wireField(
      node,
      joined([...inputs.map((name) => text(1, name)), text(2, to), text(4, opType), ...more]),
    );
  const declaredOutput = (name: string) =>
    wireField(
      output,
      joined([text(1, name), wireField(2, wireField(1, wireVarint(1, ELEMENT.float32)))]),
    );
  const branch = (name: string, ...fields: Uint8Array[]) =>
    wireField(
      attribute,
      joined([text(1, name), wireField(6, joined([text(2, name), ...fields])), wireVarint(20, 5)]),
    );
  const base = foreignModel(
    [{ name: "x", type: ELEMENT.float32, shape: ["n", 2] }],
    [{ name: "y", type: ELEMENT.float32, shape: ["n", 1] }],
    (writer) => {
      writeDense(writer, ["x", "z"], [2, -1], [0.5]);
      const three = writer.constant(Float32Array.of(3), []);
      writer.node("Identity", [three], ["three"]);
      writer.node("Cast", [three], ["taken"], { to: 9 });
    },
  );
  return withGraphFields(base, [
    op(
      "If",
      ["taken"],
      "y",
      branch("then_branch", op("Mul", ["z", "three"], "inner"), declaredOutput("inner")),
      branch("else_branch", op("Identity", ["z"], "same"), declaredOutput("same")),
    ),
  ]);
}
