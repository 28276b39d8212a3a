import { RoostError } from "../../errors.ts";
import { joined, textOf, wireField, wireFields } from "../../features/onnx-wire.ts";
import {
  decodeOnnx,
  encodeOnnx,
  ONNX_TYPE,
  type OnnxNode,
  type OnnxTensor,
} from "../graph/onnx-proto.ts";
import { onnxSession, QUIET } from "../graph/run-onnx.ts";
import { graphFields } from "./onnx-graph.ts";

/** Rows as a model reads them: features [n, d], id buckets [n, k]. */
export interface SampleRows {
  readonly n: number;
  readonly features: Float32Array;
  readonly ids: Int32Array;
}

export interface QuantisedOnnx {
  readonly model: Uint8Array;
  /** Matrix products that are computed in 8 bits now. */
  readonly products: number;
}

/** Field numbers of onnx.proto. Source: github.com/onnx/onnx, onnx/onnx.proto (Apache-2.0). */
const MODEL_GRAPH = 7;
const MODEL_OPSET = 8;
const GRAPH = { node: 1, initializer: 5 } as const;
const NODE = { output: 2, opType: 4 } as const;
const TENSOR_NAME = 8;
const UINT8 = 2;
const INT8 = 3;

const MICROSOFT = "com.microsoft";
/** Smaller products (the heads' last sums) gain nothing and lose the most. */
const LEAST_WEIGHTS = 16_384;
/**
 * Largest weight. With 7 bits, 255 · 63 · 2 fits into 16 bits: processors without VNNI add pairs in 16 bits with
 * saturation, so with 8 they would compute something else. Source: onnxruntime's documentation, "Quantize ONNX models",
 * reduce_range.
 */
const WEIGHT_LIMIT = 63;
const INPUT_LEVELS = 255;
/** Rows per run of the sample. */
const CHUNK = 1024;

/** A product x·W (+ bias) of the graph with constant weights W [inner, columns]. */
interface Product {
  readonly input: string;
  readonly output: string;
  readonly opType: string;
  readonly weights: OnnxTensor;
  readonly bias: { readonly name: string; readonly constant: boolean } | undefined;
}

/**
 * The same model with its large matrix products in 8 bits: weights as integers with a scale a column, inputs by a scale
 * and zero point taken once from what the sample's rows bring about there. Larger values count as the largest seen. All
 * scales are constants, so a row's output does not depend on the rows beside it, as it would with dynamic quantisation.
 * Source: Jacob et al. (2018), "Quantization and training of neural networks for efficient integer-arithmetic-only
 * inference", §2; weights symmetric, per column. The operator is onnxruntime's MatMulIntegerToFloat.
 * @throws BAD_BUNDLE when the model has no such product
 */
export async function quantiseOnnx(model: Uint8Array, sample: SampleRows): Promise<QuantisedOnnx> {
  const products = findProducts(model);
  if (products.length === 0)
    throw new RoostError(
      "BAD_BUNDLE",
      `the model cannot be quantised: it has no matrix product of at least ${LEAST_WEIGHTS} constant weights`,
    );
  const ranges = await rangesOf(model, [...new Set(products.map(({ input }) => input))], sample);
  const written = new Set<string>();
  const parts = new Map(
    products.map((product, i) => [product.output, encode(product, i, ranges, written)]),
  );
  const dropped = new Set(products.map(({ weights }) => weights.name));
  return { model: replaced(model, products, parts, dropped), products: products.length };
}

function findProducts(model: Uint8Array): Product[] {
  const { graph } = decodeOnnx(model);
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const uses = new Map<string, number>();
  for (const name of graph.node.flatMap(({ input }) => input))
    uses.set(name, (uses.get(name) ?? 0) + 1);
  return graph.node.flatMap((node): Product[] => {
    const [input, weight, bias] = node.input as [string, string, string?];
    const weights = constants.get(weight);
    if (weights === undefined || uses.get(weight) !== 1 || !isPlainProduct(node)) return [];
    const [inner = 0, columns = 0, ...rest] = weights.dims;
    const whole = weights.rawData.length === 4 * inner * columns;
    if (weights.dataType !== ONNX_TYPE.float32 || rest.length > 0 || !whole) return [];
    if (inner * columns < LEAST_WEIGHTS || constants.has(input)) return [];
    // A bias of one value a column is the operator's own; any other is added.
    const constant = bias !== undefined && constants.get(bias)?.dims.join() === String(columns);
    return [
      {
        input,
        output: node.output[0] as string,
        opType: node.opType,
        weights,
        bias: bias ? { name: bias, constant } : undefined,
      },
    ];
  });
}

function isPlainProduct({ opType, domain, attribute }: OnnxNode): boolean {
  if (domain !== "") return false;
  if (opType === "MatMul") return true;
  if (opType !== "Gemm") return false;
  const usual: Readonly<Record<string, number>> = { alpha: 1, beta: 1, transA: 0, transB: 0 };
  return attribute.every(({ name, f, i }) => usual[name] === (name.startsWith("trans") ? i : f));
}

/** Least and largest value of some tensors of the graph over the sample; 0 is always within. */
async function rangesOf(
  model: Uint8Array,
  names: readonly string[],
  { n, features, ids }: SampleRows,
): Promise<Map<string, readonly [number, number]>> {
  const probes = graphFields(
    encodeGraph({
      output: names.map((name) => ({
        name,
        type: { tensorType: { elemType: ONNX_TYPE.float32 } },
      })),
    }),
  );
  const session = await onnxSession(
    withGraph(model, (graph) => joined([graph, ...probes.others])),
    1,
    QUIET,
  );
  const ranges = new Map(names.map((name): [string, [number, number]] => [name, [0, 0]]));
  const [d, k] = [features.length / n, ids.length / n];
  try {
    for (let from = 0; from < n; from += CHUNK) {
      const to = Math.min(n, from + CHUNK);
      const outputs = await session.run({
        features: { data: features.slice(from * d, to * d), shape: [to - from, d] },
        ids: { data: ids.slice(from * k, to * k), shape: [to - from, k] },
      });
      for (const [name, range] of ranges)
        for (const value of outputs[name] as Float32Array) {
          if (value < range[0]) range[0] = value;
          if (value > range[1]) range[1] = value;
        }
    }
  } finally {
    await session.release();
  }
  return ranges;
}

/** The nodes and constants that stand for a product. @param written inputs that are quantised already */
function encode(
  { input, output, weights, bias }: Product,
  index: number,
  ranges: ReadonlyMap<string, readonly [number, number]>,
  written: Set<string>,
): Uint8Array[] {
  const node: OnnxNode[] = [];
  const initializer: OnnxTensor[] = [];
  const add = (opType: string, inputs: readonly string[], out: string, domain = ""): void => {
    const name = `quantised_${index}_${opType}`;
    node.push({ opType, input: inputs, output: [out], name, domain, attribute: [] });
  };
  const constant = (
    name: string,
    dataType: number,
    dims: readonly number[],
    data: Float32Array | Uint8Array | Int8Array,
  ): string => {
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    initializer.push({ name, dataType, dims, rawData });
    return name;
  };
  const [low, high] = ranges.get(input) as readonly [number, number];
  const step = (high - low) / INPUT_LEVELS || 1;
  const whole = `${input}_uint8`;
  const [scale, zero] = [`${whole}_scale`, `${whole}_zero`];
  if (!written.has(input)) {
    written.add(input);
    constant(scale, ONNX_TYPE.float32, [], Float32Array.of(step));
    constant(zero, UINT8, [], Uint8Array.of(Math.round(-low / step)));
    add("QuantizeLinear", [input, scale, zero], whole);
  }
  const [inner, columns] = weights.dims as [number, number];
  const { values, scales } = wholeWeights(weights, inner, columns);
  const named = `${weights.name}_int8`;
  const own = bias === undefined || bias.constant;
  const product = own ? output : `${output}_product`;
  add(
    "MatMulIntegerToFloat",
    [
      whole,
      constant(named, INT8, [inner, columns], values),
      scale,
      constant(`${named}_scale`, ONNX_TYPE.float32, [columns], scales),
      zero,
      constant(`${named}_zero`, INT8, [columns], new Int8Array(columns)),
      ...(bias?.constant ? [bias.name] : []),
    ],
    product,
    MICROSOFT,
  );
  if (!own) add("Add", [product, bias.name], output);
  const { nodes, others } = graphFields(encodeGraph({ node, initializer }));
  return [...nodes, ...others];
}

/** Weights [inner, columns] as integers within ±63 times a scale a column. */
function wholeWeights(
  { rawData }: OnnxTensor,
  inner: number,
  columns: number,
): { values: Int8Array; scales: Float32Array } {
  const weights = new Float32Array(new Uint8Array(rawData).buffer);
  const values = new Int8Array(inner * columns);
  const scales = new Float32Array(columns);
  for (let column = 0; column < columns; column++) {
    let largest = 0;
    for (let at = column; at < weights.length; at += columns)
      largest = Math.max(largest, Math.abs(weights[at] as number));
    const scale = largest / WEIGHT_LIMIT || 1;
    scales[column] = scale;
    for (let at = column; at < weights.length; at += columns)
      values[at] = Math.round((weights[at] as number) / scale);
  }
  return { values, scales };
}

/** Each product's node gives way to what stands for it, in its place: nodes stay in order of use. */
function replaced(
  model: Uint8Array,
  products: readonly Product[],
  parts: ReadonlyMap<string, readonly Uint8Array[]>,
  dropped: ReadonlySet<string>,
): Uint8Array {
  const types = new Set(products.map(({ opType }) => opType));
  const graph = withGraph(model, (old) => {
    const fields: Uint8Array[] = [];
    for (const { number, raw, bytes } of wireFields(old)) {
      if (number === GRAPH.initializer && dropped.has(textOf(bytes, TENSOR_NAME))) continue;
      const isProduct = number === GRAPH.node && types.has(textOf(bytes, NODE.opType));
      fields.push(...((isProduct && parts.get(textOf(bytes, NODE.output))) || [raw]));
    }
    return joined(fields);
  });
  return decodeOnnx(model).opsetImport.some(({ domain }) => domain === MICROSOFT)
    ? graph
    : joined([graph, ...microsoftOpset()]);
}

function* microsoftOpset(): Iterable<Uint8Array> {
  const opsetImport = [{ domain: MICROSOFT, version: 1 }];
  for (const { number, raw } of wireFields(encodeGraph({}, opsetImport)))
    if (number === MODEL_OPSET) yield raw;
}

/** The model with another graph in the place of its own. */
function withGraph(model: Uint8Array, change: (graph: Uint8Array) => Uint8Array): Uint8Array {
  return joined(
    [...wireFields(model)].map(({ number, raw, bytes }) =>
      number === MODEL_GRAPH ? wireField(MODEL_GRAPH, change(bytes)) : raw,
    ),
  );
}

function encodeGraph(
  graph: Partial<Parameters<typeof encodeOnnx>[0]["graph"]>,
  opsetImport: Parameters<typeof encodeOnnx>[0]["opsetImport"] = [],
): Uint8Array {
  const empty = { name: "", node: [], initializer: [], input: [], output: [] };
  return encodeOnnx({
    irVersion: 9,
    producerName: "roost",
    opsetImport,
    graph: { ...empty, ...graph },
  });
}
