import {
  joined,
  payloads,
  textOf,
  wireField,
  wireFields,
  wireVarint,
} from "../../features/onnx-wire.ts";

/** A product of rows [n, inner] with constant weights [inner, columns]. */
export interface MatrixProduct {
  readonly inner: number;
  readonly columns: number;
}

/** Field numbers of onnx.proto. Source: github.com/onnx/onnx, onnx/onnx.proto (Apache-2.0). */
const MODEL = { irVersion: 1, graph: 7, opset: 8 } as const;
const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12 } as const;
const NODE = { input: 1, output: 2, opType: 4 } as const;
const TENSOR = { dims: 1, dataType: 2, name: 8, raw: 9 } as const;
const [FLOAT, INT64] = [1, 7];
const [IR_VERSION, OPSET] = [9, 18];

/** The products with constant weights of two dimensions in a model, in order. */
export function matrixProducts(model: Uint8Array): MatrixProduct[] {
  const found: MatrixProduct[] = [];
  for (const graph of payloads(model, MODEL.graph)) {
    const shapes = new Map<string, number[]>();
    for (const tensor of payloads(graph, GRAPH.initializer)) {
      const dims: number[] = [];
      for (const { number, varint, bytes } of wireFields(tensor))
        if (number === TENSOR.dims) dims.push(...(bytes.length > 0 ? packed(bytes) : [varint]));
      shapes.set(textOf(tensor, TENSOR.name), dims);
    }
    for (const node of payloads(graph, GRAPH.node)) {
      if (!["MatMul", "Gemm", "FusedGemm"].includes(textOf(node, NODE.opType))) continue;
      const [, weights = ""] = [...payloads(node, NODE.input)].map((name) =>
        new TextDecoder().decode(name),
      );
      const [inner, columns] = shapes.get(weights) ?? [];
      if (inner !== undefined && columns !== undefined) found.push({ inner, columns });
    }
  }
  return found;
}

/** A packed list of varints. */
function packed(bytes: Uint8Array): number[] {
  const values: number[] = [];
  let [value, scale] = [0, 1];
  for (const byte of bytes) {
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte & 0x80) continue;
    values.push(value);
    [value, scale] = [0, 1];
  }
  return values;
}

/** Multiplications and additions of the products over n rows. */
export const productFlops = (products: readonly MatrixProduct[], n: number): number =>
  products.reduce((sum, { inner, columns }) => sum + 2 * n * inner * columns, 0);

export const inputOf = ({ inner }: MatrixProduct): string => `x${inner}`;

/**
 * A model of nothing but these products: inputs `x<inner>` [n, inner], one for each width; each product's first row is
 * an output, so that all must be computed and next to nothing handed over.
 */
export function productsOnnx(products: readonly MatrixProduct[]): Uint8Array {
  const parts: Uint8Array[] = [
    wireField(GRAPH.name, text("products")),
    tensor("first", [1], INT64, new Uint8Array(BigInt64Array.of(0n).buffer)),
    tensor("second", [1], INT64, new Uint8Array(BigInt64Array.of(1n).buffer)),
  ];
  for (const name of new Set(products.map(inputOf))) parts.push(value(GRAPH.input, name));
  products.forEach((product, i) => {
    const { inner, columns } = product;
    const weights = Float32Array.from({ length: inner * columns }, (_, at) => (at % 17) / 17 - 0.5);
    parts.push(
      tensor(`w${i}`, [inner, columns], FLOAT, new Uint8Array(weights.buffer)),
      node("MatMul", [inputOf(product), `w${i}`], `y${i}`),
      node("Slice", [`y${i}`, "first", "second"], `row${i}`),
      value(GRAPH.output, `row${i}`),
    );
  });
  return joined([
    wireVarint(MODEL.irVersion, IR_VERSION),
    wireField(MODEL.opset, wireVarint(2, OPSET)),
    wireField(MODEL.graph, joined(parts)),
  ]);
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const node = (opType: string, inputs: readonly string[], output: string): Uint8Array =>
  wireField(
    GRAPH.node,
    joined([
      ...inputs.map((name) => wireField(NODE.input, text(name))),
      wireField(NODE.output, text(output)),
      wireField(NODE.opType, text(opType)),
    ]),
  );

const tensor = (
  name: string,
  dims: readonly number[],
  dataType: number,
  raw: Uint8Array,
): Uint8Array =>
  wireField(
    GRAPH.initializer,
    joined([
      ...dims.map((size) => wireVarint(TENSOR.dims, size)),
      wireVarint(TENSOR.dataType, dataType),
      wireField(TENSOR.name, text(name)),
      wireField(TENSOR.raw, raw),
    ]),
  );

/** An input or output of floats of two dimensions, unnamed and of any size. */
const value = (field: number, name: string): Uint8Array => {
  const dimension = wireField(1, new Uint8Array(0));
  const type = joined([wireVarint(1, FLOAT), wireField(2, joined([dimension, dimension]))]);
  return wireField(field, joined([wireField(1, text(name)), wireField(2, wireField(1, type))]));
};
